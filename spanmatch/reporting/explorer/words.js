// The view in a sentence, and as a table.

/** What is seen, in words: the share, what chance gives, how sure it is. */
function sentences(study, view) {
  const place = study.placeOf(view);
  const [x, y] = study
    .sides(place)
    .map((one) => ({ all: one.neurons, in: one.critical.filter((value) => value <= view.epsilon).length }));
  const pair = study.pairs[view.pair];
  const layer = study.layers[view.layer][0];
  const share = percent(study.similarity(place, view.epsilon));
  const first = [
    "At ε = ",
    written(view.epsilon),
    ", ",
    h("strong", {}, share),
    ` of ${layer} matches: ${x.in} of ${counted(x.all, "neuron")} of ${pair.shown[0]} and ${y.in} of ${y.all} of ${pair.shown[1]}. `,
  ];
  const strange = view.strange.length
    ? h(
        "span",
        { class: "strange" },
        `The link asks for ${view.strange.join(", ")}, which this study does not have. `,
      )
    : "";
  return [
    strange,
    ...first,
    standingInWords(study, study.standing(place, view.epsilon), study.epsilons.includes(view.epsilon)),
  ];
}

function standingInWords(study, known, studied) {
  if (!studied) return `Null and error are known only at the study’s ε: ${study.epsilons.join(", ")}.`;
  const parts = [];
  if (known.threshold !== undefined)
    parts.push(
      `Chance gives up to ${percent(known.threshold)}${known.p === undefined ? "" : ` (p = ${Number(known.p.toPrecision(2))})`}.`,
    );
  if (Number.isFinite(known.error)) parts.push(`Its standard error is ${percent(known.error)}.`);
  if (known.held_out !== undefined)
    parts.push(`On held-out ${study.items} it is ${percent(known.held_out)}.`);
  if (known.high > known.low)
    parts.push(`Rounding decides: it lies between ${percent(known.low)} and ${percent(known.high)}.`);
  return parts.join(" ") || "This study has no null and no error.";
}

const HEADS = [
  "layer",
  "similarity",
  "matched x",
  "matched y",
  "neurons x",
  "neurons y",
  "chance, up to",
  "p",
  "standard error",
  "held-out",
];

/** Similarity along the layers as rows: names and numbers. */
function rowsAlong(study, view) {
  return study.layers.map(([name], layer) => {
    const place = study.placeOf({ ...view, layer });
    const [x, y] = study.sides(place);
    const matched = [x, y].map((one) => one.critical.filter((value) => value <= view.epsilon).length);
    const known = study.standing(place, view.epsilon);
    return [
      name,
      study.similarity(place, view.epsilon),
      ...matched,
      x.neurons,
      y.neurons,
      known.threshold,
      known.p,
      known.error,
      known.held_out,
    ];
  });
}

/** The same as a table, drawn only while it is open. */
function numbersAlong(study) {
  const body = h("tbody");
  const head = h(
    "tr",
    {},
    HEADS.map((name) => h("th", { scope: "col" }, name)),
  );
  const element = h(
    "details",
    { class: "numbers" },
    h("summary", {}, "The numbers of all layers"),
    h(
      "div",
      {
        class: "wide",
        role: "region",
        tabindex: "0",
        "aria-label": "Similarity along the layers, in numbers",
      },
      h("table", {}, h("thead", {}, head), body),
    ),
  );
  let view = null;
  const cell = (value, place) =>
    value === undefined ? "–" : place >= 2 && place <= 5 ? String(value) : Number(value).toFixed(4);
  const write = () => {
    if (!element.open || !view) return;
    body.replaceChildren(
      ...rowsAlong(study, view).map(([name, ...values]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, name),
          values.map((value, place) => h("td", {}, cell(value, place + 1))),
        ),
      ),
    );
  };
  element.addEventListener("toggle", write);
  return {
    element,
    draw: (now) => {
      view = now;
      write();
    },
  };
}
