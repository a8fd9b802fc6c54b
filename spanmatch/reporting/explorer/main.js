// The explorer: reads the study, lays out its parts, and draws them anew where the view changes.

function explore() {
  const study = readStudy();
  if (!study.layers.length && !study.grids.length) return; // nothing to look into
  const home = document.getElementById("explorer");
  let view = startOf(study, readView(study));
  let waiting = false;
  const parts = study.layers.length
    ? ofLayers(study, act, () => view)
    : { elements: [], draw() {}, reveal() {} };
  const choose = controls(study, act);
  const heat = study.grids.length ? heatMaps(study, act) : null;

  /** Change the view; drawn once a frame, however often it changes. */
  function act(change, { reveal = false } = {}) {
    view = { ...view, strange: [], ...change };
    if (reveal) parts.reveal();
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
      writeView(study, view);
    });
  }

  function draw() {
    choose.draw(view);
    parts.draw(view);
    if (heat) heat.draw(view);
  }

  home.append(
    h("h2", {}, "Explore"),
    choose.element,
    ...parts.elements,
    heat
      ? h(
          "section",
          { class: "panel", "aria-label": "Every layer with every layer" },
          h("h3", {}, "Every layer with every layer"),
          heat.element,
          savers("the heat map", "heat-map", heat.holder),
        )
      : "",
  );
  home.hidden = false;
  draw();
  new ResizeObserver(draw).observe(home);
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    view = startOf(study, readView(study));
    draw();
  });
}

/** Look first where something is to be seen: at the layer of which about half matches. */
function startOf(study, view) {
  if (!study.layers.length || view.layer >= 0) return view;
  const apart = study.layers.map((_, layer) =>
    Math.abs(study.similarity(study.placeOf({ ...view, layer }), view.epsilon) - 0.5),
  );
  return { ...view, layer: apart.indexOf(Math.min(...apart)) };
}

/** The parts that look into layers, of which a grid alone has none. */
function ofLayers(study, act, viewed) {
  const [along, curve, columns] = [
    alongLayers(study, act),
    overEpsilon(study, act),
    neuronColumns(study, act),
  ];
  const [list, opened, numbers] = [matchList(study, act), openedMatch(study, act), numbersAlong(study)];
  const story = h("p", { class: "story", role: "status" });
  const layerTitle = h("h3");
  const columnsTitle = h("h3");
  let kept = { key: "", matches: [] };
  let toReveal = false;

  function matchesNow(view) {
    const key = [study.placeOf(view), nearest(study, view.epsilon)].join();
    if (kept.key !== key) kept = { key, matches: matchesAt(study, view) };
    return kept.matches;
  }

  /** The match that is minimal for the neuron asked for; otherwise the first of the list, of those with it. */
  function openedNow(view, matches) {
    const [minimal, neuron] = [
      matches.find((match) => match.of.includes(view.match)),
      view.match || view.neuron,
    ];
    const wanted = neuron ? matches.filter((match) => match.names.includes(neuron)) : matches;
    return minimal ?? list.sorted(wanted)[0] ?? null;
  }

  function draw(view) {
    const matches = matchesNow(view);
    const one = openedNow(view, matches);
    story.replaceChildren(...sentences(study, view));
    layerTitle.textContent = `${study.layers[view.layer][0]} over ε`;
    columnsTitle.textContent = `Neurons of ${study.layers[view.layer][0]}`;
    along.draw(view);
    curve.draw(view);
    numbers.draw(view);
    columns.draw(view, matches, one);
    list.draw(view, matches, one);
    opened.draw(view, one);
    if (toReveal) opened.heading.focus();
    toReveal = false;
  }

  const panel = (label, ...children) => h("section", { class: "panel", "aria-label": label }, children);
  const rowsOfMatches = () => [
    ["neurons_x", "neurons_y", "minimal_for", "size", "matches_from_epsilon", "held_out"],
    ...list
      .sorted(matchesNow(viewed()))
      .map((match) => [
        Array.from(match.x).join(" "),
        Array.from(match.y).join(" "),
        match.of.join(" "),
        match.size,
        single(match.critical),
        match.heldOut,
      ]),
  ];
  const elements = [
    story,
    h(
      "div",
      { class: "beside-1" },
      panel(
        "Similarity along the layers",
        h("h3", {}, "Similarity along the layers"),
        along.element,
        legend(study),
        numbers.element,
        savers("similarity along the layers", "similarity", along.holder, () => [
          HEADS,
          ...rowsAlong(study, viewed()),
        ]),
      ),
      panel(
        "One layer over ε",
        layerTitle,
        curve.element,
        h("p", { class: "note" }, "Every neuron adds a step at its critical ε. Take the line to change ε."),
        savers("the layer over ε", "over-epsilon", curve.holder),
      ),
    ),
    h(
      "div",
      { class: "beside-2" },
      panel(
        "Neurons",
        columnsTitle,
        h(
          "p",
          { class: "note" },
          "The first to match are at the top; filled ones match at ε. Simple matches join them.",
        ),
        columns.element,
        savers("the neurons", "neurons", columns.holder),
      ),
      h(
        "div",
        {},
        panel(
          "Simple matches",
          h("h3", {}, "Simple matches"),
          list.element,
          savers("the simple matches", "simple-matches", null, rowsOfMatches),
        ),
        panel("One match", opened.element),
      ),
    ),
  ];
  return {
    elements,
    draw,
    reveal() {
      toReveal = true;
    },
  };
}

/** What the lines are. */
function legend(study) {
  const key = (kind, text) =>
    h(
      "span",
      { class: "key" },
      s(
        "svg",
        { width: 26, height: 12, ...hidden },
        s("path", {
          d: kind === "null" ? "M2,2h22v9h-22Z" : kind === "error" ? "M13,1v10" : "M1,6h24",
          class: kind,
        }),
      ),
      text,
    );
  return h(
    "p",
    { class: "legend" },
    key("own", "this pair"),
    study.centres.length > 1 && key("other-centre", "this pair, less means or not"),
    study.pairs.length > study.groups.length && key("others", "other pairs"),
    study.array("threshold") && key("null", "what chance gives"),
    study.array("error") && key("error", "± standard error"),
  );
}

explore();
