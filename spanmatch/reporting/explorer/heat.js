// Every layer of one network with every layer of the other: means over the pairs of a moment.

const RAMP = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
]; // viridis

/** The colour of a share of one. */
function colourOf(share) {
  const along = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const start = Math.min(Math.floor(along), RAMP.length - 2);
  const mixed = RAMP[start].map((one, place) =>
    Math.round(one + (along - start) * (RAMP[start + 1][place] - one)),
  );
  return `rgb(${mixed.join()})`;
}

function heatMaps(study, act) {
  const holder = h("div", { class: "chart square" });
  const note = h("p", { class: "note" });
  const readout = h("p", { class: "readout", role: "status" });
  const measure = h("select", { id: "explorer-measure" });
  const which = h("select", { id: "explorer-grid" });
  const firsts = starts(study.grids.flatMap((grid) => grid.panels.map(() => grid.x.length * grid.y.length)));
  study.grids.forEach((grid, place) => which.append(h("option", { value: place }, grid.title)));
  let [last, cursor] = [null, [0, 0]];
  which.addEventListener("change", () => {
    cursor = [0, 0];
    name();
    act({});
  });
  measure.addEventListener("change", () => act({}));
  const titles = () => [...new Set(study.grids[Number(which.value)].panels.map((panel) => panel.title))];
  const name = () =>
    measure.replaceChildren(...titles().map((title) => h("option", { value: title }, title)));
  name();
  const element = [
    h("p", { class: "choices" }, h("label", {}, "Heat map of ", measure), h("label", {}, " moment ", which)),
    note,
    holder,
    readout,
  ];

  /** The panel that is asked for: of similarity, the one at the nearest of the study's ε and the same centre. */
  function panelFor(view) {
    const grid = study.grids[Number(which.value)];
    const centre = study.centres[view.centre];
    const apart = (panel) =>
      panel.epsilon === undefined
        ? 0
        : Math.abs(panel.epsilon - view.epsilon) + (panel.centre === centre ? 0 : 10);
    const fitting = grid.panels.filter((panel) => panel.title === measure.value);
    return fitting.reduce((best, panel) => (apart(panel) < apart(best) ? panel : best));
  }

  function draw(view) {
    const grid = study.grids[Number(which.value)];
    const panel = panelFor(view);
    const width = Math.min(widthOf(holder, 260), 720);
    if (last && last.panel === panel && last.width === width) return;
    last = { panel, width };
    const before = study.grids.slice(0, Number(which.value)).reduce((sum, one) => sum + one.panels.length, 0);
    const first = firsts[before + grid.panels.indexOf(panel)];
    const cells = grid.x.length * grid.y.length;
    const means = study.array("grid_means").subarray(first, first + cells);
    const hollow = study.array("grid_hollow").subarray(first, first + cells);
    const finite = Array.from(means).filter(Number.isFinite);
    const [low, high] = [panel.low ?? Math.min(...finite), panel.high ?? Math.max(...finite)];
    const share = (value) => {
      const part = (value - low) / (high - low || 1);
      return panel.up ? part : 1 - part;
    };
    const left = Math.min(130, width / 3);
    const cell = Math.min((width - left - 4) / grid.y.length, 64);
    const [tall, height] = [Math.min(cell, 40), Math.min(cell, 40) * grid.x.length];
    const svg = sheet(width, height + 92, {
      tabindex: "0",
      "aria-label": `Heat map of ${panel.title}, ${grid.title}: ${grid.x.length} layers of one network with ${grid.y.length} of the other. Arrow keys read the cells.`,
    });
    grid.x.forEach((_, row) =>
      grid.y.forEach((__, column) => {
        const value = means[row * grid.y.length + column];
        if (!Number.isFinite(value)) return;
        const colour = colourOf(share(value));
        const frame = hollow[row * grid.y.length + column];
        svg.append(
          s("rect", {
            x: left + column * cell + (frame ? 1.5 : 0.5),
            y: height - (row + 1) * tall + (frame ? 1.5 : 0.5),
            width: Math.max(cell - (frame ? 3 : 1), 0.5),
            height: Math.max(tall - (frame ? 3 : 1), 0.5),
            fill: frame ? "none" : colour,
            stroke: frame ? colour : "none",
            "stroke-width": frame ? 2 : 0,
          }),
        );
      }),
    );
    const every = (size) => Math.ceil(12 / size);
    grid.x.forEach((layer, row) => {
      if (row % every(tall) === 0)
        svg.append(
          s(
            "text",
            { x: left - 6, y: height - (row + 0.5) * tall + 4, class: "tick end" },
            elided(layer, Math.floor(left / 7)),
          ),
        );
    });
    grid.y.forEach((layer, column) => {
      if (column % every(cell) === 0)
        svg.append(
          s(
            "text",
            {
              transform: `translate(${left + (column + 0.5) * cell + 4},${height + 10}) rotate(-52)`,
              class: "tick end",
            },
            elided(layer, 15),
          ),
        );
    });
    const box = s("rect", { class: "cursor", width: cell, height: tall, ...hidden });
    svg.append(box);
    const read = () => {
      const [row, column] = cursor;
      const number = row * grid.y.length + column;
      const unclear = hollow[number] ? ", no more than chance gives" : "";
      box.setAttribute("x", left + column * cell);
      box.setAttribute("y", height - (row + 1) * tall);
      readout.textContent = `${grid.x[row]} with ${grid.y[column]}: ${Number.isFinite(means[number]) ? means[number].toFixed(3) : "undefined"}${unclear}`;
    };
    const open = () => {
      const [one, other] = [grid.x[cursor[0]], grid.y[cursor[1]]];
      const layer = study.layers.findIndex(([, x, y]) => x === one && y === other);
      if (layer >= 0) act({ layer, match: "", neuron: "" });
    };
    const at = (event) => {
      const [across, down] = pointed(event, svg);
      const column = Math.floor((across - left) / cell);
      const row = Math.floor((height - down) / tall);
      if (row in grid.x && column in grid.y) {
        cursor = [row, column];
        read();
        return true;
      }
      return false;
    };
    svg.addEventListener("pointermove", at);
    svg.addEventListener("click", (event) => {
      if (at(event)) open();
    });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (event.key === "Enter") open();
      if (!step) return;
      event.preventDefault();
      const bounded = (value, length) => Math.min(Math.max(value, 0), length - 1);
      cursor = [bounded(cursor[0] + step[0], grid.x.length), bounded(cursor[1] + step[1], grid.y.length)];
      read();
    });
    const of =
      panel.epsilon === undefined
        ? ""
        : ` at ε = ${written(panel.epsilon)}, the nearest at which it is known`;
    const frames = hollow.some((one) => one) ? " Frames are no more than chance gives." : "";
    const [far, close] = panel.up ? [low, high] : [high, low];
    note.replaceChildren(
      `Mean over ${counted(grid.pairs, "pair")} of networks${of}: from ${far.toFixed(2)} `,
      h("span", { class: "ramp", ...hidden }),
      h("span", { class: "unseen" }, ", dark,"),
      ` to ${close.toFixed(2)}, closest.${frames}`,
    );
    holder.replaceChildren(svg);
  }

  return { element, holder, draw };
}
