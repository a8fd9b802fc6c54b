// What is chosen: ε, the moment, the pair of networks, raw or less means, the layer.

function controls(study, act) {
  const select = (id, label, options, change) => {
    const box = h("select", { id: `explorer-${id}`, onchange: () => change(Number(box.value)) });
    const fillWith = (pairs) =>
      box.replaceChildren(...pairs.map(([value, text]) => h("option", { value }, text)));
    fillWith(options);
    return { element: h("div", { class: "choice" }, h("label", { for: box.id }, label), box), box, fillWith };
  };
  const ofGroup = (group) =>
    study.pairs.flatMap((pair, place) =>
      pair.groups.includes(group) ? [[place, pair.shown.join(" ~ ")]] : [],
    );
  const fresh = { match: "", neuron: "" };

  const moment = select(
    "moment",
    "Moment",
    study.groups.map((group, place) => [place, group]),
    (group) => {
      const pairs = ofGroup(group).map(([place]) => place);
      act({
        ...fresh,
        group,
        pair:
          pairs[
            Math.min(
              ofGroup(view.group).findIndex(([place]) => place === view.pair),
              pairs.length - 1,
            )
          ] ?? pairs[0],
      });
    },
  );
  const pair = select("pair", "Pair of networks", [], (place) => act({ ...fresh, pair: place }));
  const layer = select(
    "layer",
    "Layer",
    study.layers.map(([name], place) => [place, name]),
    (place) => act({ ...fresh, layer: place }),
  );
  const names = { raw: "as they are", mean: "less means" };
  const centre = select(
    "centre",
    "Activations",
    study.centres.map((name, place) => [place, names[name]]),
    (place) => act({ ...fresh, centre: place }),
  );

  const slider = h("input", {
    type: "range",
    id: "explorer-epsilon",
    min: "0",
    max: "0.999",
    step: "0.001",
    "aria-label": "Tolerance ε",
  });
  const exact = h("input", {
    type: "number",
    id: "explorer-exact",
    min: "0",
    max: "0.9999",
    step: "0.0001",
    "aria-label": "ε, to four decimals",
  });
  const take = (text) => {
    const epsilon = Math.round(1e4 * Number(text)) / 1e4;
    if (text !== "" && epsilon >= 0 && epsilon < 1) act({ epsilon });
    else exact.value = written(view.epsilon);
  };
  slider.addEventListener("input", () => take(slider.value));
  exact.addEventListener("change", () => take(exact.value));
  const marks = study.epsilons.map((epsilon) =>
    h("button", { type: "button", class: "mark-epsilon", onclick: () => act({ epsilon }) }, String(epsilon)),
  );
  const big = h("output", { class: "big", for: "explorer-epsilon" });
  const looked = study.layers.length > 0;
  let view = null;

  const element = h(
    "div",
    { class: "controls" },
    h(
      "div",
      { class: "choices" },
      looked && study.groups.length > 1 && moment.element,
      looked && pair.element,
      looked && layer.element,
      study.centres.length > 1 && centre.element,
    ),
    h(
      "div",
      { class: "epsilon" },
      h("span", { class: "big" }, "ε = ", big),
      slider,
      h("div", { class: "marks" }, h("span", {}, "studied at "), marks, h("label", {}, " exactly ", exact)),
    ),
  );

  function draw(now) {
    if (!view || view.group !== now.group) pair.fillWith(ofGroup(now.group));
    view = now;
    moment.box.value = now.group;
    pair.box.value = now.pair;
    layer.box.value = now.layer;
    centre.box.value = now.centre;
    slider.value = now.epsilon;
    slider.setAttribute("aria-valuetext", `ε = ${written(now.epsilon)}`);
    if (document.activeElement !== exact) exact.value = written(now.epsilon);
    big.textContent = written(now.epsilon);
    marks.forEach((mark, place) =>
      mark.setAttribute("aria-pressed", String(study.epsilons[place] === now.epsilon)),
    );
  }

  return { element, draw };
}
