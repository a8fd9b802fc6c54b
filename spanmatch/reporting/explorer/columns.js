// The neurons of a layer as two columns, the first to match uppermost, joined by their simple matches.

function neuronColumns(study, act) {
  const holder = h("div", { class: "chart" });
  let laid = { what: [], path: "" }; // strands, which stay while ε moves between two of the study's
  const ranksAt = remembered((place) => study.sides(place).map((one) => ranked(one.critical)), 8);

  function draw(view, matches, opened) {
    const width = widthOf(holder, 280);
    const place = study.placeOf(view);
    const both = study.sides(place);
    const most = Math.max(...both.map((one) => one.neurons), 1);
    const spacing = Math.max(Math.min(15, 620 / most), 0.05);
    const [top, middle] = [34, width / 2];
    const height = top + most * spacing + 14;
    const named = spacing >= 9.5;
    const [left, right] = [46, width - 46];
    const ranks = ranksAt(place);
    const y = (side, neuron) => top + (ranks[side][neuron] + 0.5) * spacing;
    const at = (side, neuron) => [side ? right : left, y(side, neuron)];
    const pair = study.pairs[view.pair];
    const size = Math.max(Math.min(spacing / 2 - 0.6, 4.5), 0.8);

    const svg = sheet(width, height, {
      "aria-label": `Neurons of ${study.layers[view.layer][0]}: ${both[0].neurons} of ${pair.shown[0]} on the left, ${both[1].neurons} of ${pair.shown[1]} on the right, joined by ${counted(matches.length, "simple match")}. The list beside has them all.`,
    });
    svg.append(
      s("text", { x: left - size, y: 16, class: "head" }, elided(pair.shown[0], Math.floor(width / 18))),
      s("text", { x: right + size, y: 16, class: "head end" }, elided(pair.shown[1], Math.floor(width / 18))),
    );
    const strands = (match) => {
      const all = [
        ...Array.from(match.x, (neuron) => at(0, neuron)),
        ...Array.from(match.y, (neuron) => at(1, neuron)),
      ];
      const hub = all.reduce((sum, [, one]) => sum + one, 0) / all.length;
      return all
        .map(([from, one]) => {
          const bend = (from + middle) / 2;
          return `M${from.toFixed(1)},${one.toFixed(1)}C${bend.toFixed(1)},${one.toFixed(1)} ${bend.toFixed(1)},${hub.toFixed(1)} ${middle.toFixed(1)},${hub.toFixed(1)}`;
        })
        .join("");
    };
    const what = [matches, opened?.names.join(), width];
    if (what.some((one, number) => one !== laid.what[number])) {
      const others = matches
        .filter((match) => match.names.join() !== opened?.names.join())
        .slice(0, MOST_STRANDS);
      laid = { what, path: others.map(strands).join("") };
    }
    svg.append(s("path", { d: laid.path, class: "strands" }));
    if (opened) svg.append(s("path", { d: strands(opened), class: "strands now" }));
    both.forEach((one, side) => {
      const matched = one.critical.filter((value) => value <= view.epsilon).length; // the first of the order
      const [x, ends] = [side ? right : left, [0, matched, one.neurons].map((rank) => top + rank * spacing)];
      const column = (from, to) =>
        spacing < 3
          ? `M${x - 3},${ends[from].toFixed(1)}h6V${ends[to].toFixed(1)}h-6Z`
          : dots(
              Array.from({ length: Math.round((ends[to] - ends[from]) / spacing) }, (_, rank) => [
                x,
                ends[from] + (rank + 0.5) * spacing,
              ]),
              size,
            );
      svg.append(
        s("path", { d: column(1, 2), class: "dots" }),
        s("path", { d: column(0, 1), class: "dots matched" }),
      );
      const chosen = opened ? Array.from(side ? opened.y : opened.x) : [];
      const found =
        view.neuron && view.neuron[0] === "xy"[side]
          ? [Number(view.neuron.slice(1))].filter((neuron) => neuron < one.neurons)
          : [];
      svg.append(
        s("path", {
          d: dots(
            [...chosen, ...found].map((neuron) => at(side, neuron)),
            Math.max(size + 1, 3),
          ),
          class: "dots now",
        }),
      );
      const shown = named ? one.critical.keys() : [...chosen, ...found].slice(0, 40);
      for (const neuron of shown) {
        const now = chosen.includes(neuron) || found.includes(neuron);
        svg.append(
          s(
            "text",
            {
              x: side ? right + 10 : left - 10,
              y: y(side, neuron) + 3.5,
              class: `neuron${side ? "" : " end"}${now ? " now" : ""}`,
            },
            `${one.letter}${neuron}`,
          ),
        );
      }
    });
    svg.addEventListener("click", (event) => {
      const [across, down] = pointed(event, svg);
      const side = across < width / 2 ? 0 : 1;
      const rank = Math.floor((down - top) / spacing);
      const neuron = ranks[side].indexOf(rank);
      if (neuron >= 0) act({ neuron: `${"xy"[side]}${neuron}`, match: "" });
    });
    holder.replaceChildren(svg);
  }

  return { element: [holder], holder, draw };
}

const MOST_STRANDS = 200; // matches that are drawn: more are a blot

/** The place of each neuron in the order of critical ε. */
const ranked = (values) => {
  const order = Array.from(values.keys()).sort((one, other) => values[one] - values[other] || one - other);
  const ranks = new Uint32Array(values.length);
  order.forEach((neuron, rank) => {
    ranks[neuron] = rank;
  });
  return ranks;
};

/** Dots as one path: thousands of elements would be slow. */
const dots = (points, radius) =>
  points
    .map(([x, y]) => {
      const r = radius.toFixed(2);
      return `M${(x - radius).toFixed(1)},${y.toFixed(1)}a${r},${r} 0 1,0 ${(2 * radius).toFixed(2)},0a${r},${r} 0 1,0 ${(-2 * radius).toFixed(2)},0`;
    })
    .join("");
