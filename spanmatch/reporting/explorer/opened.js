// One match, or one neuron: its neurons on both sides, and what each fires on.

const MOST = 24; // neurons of a side at first
const CONTEXT = 40; // characters to either side

function openedMatch(study, act) {
  const heading = h("h3", { tabindex: "-1", id: "explorer-opened" });
  const about = h("p", { class: "note" });
  const columns = [h("div", {}), h("div", {})];
  const element = [heading, about, h("div", { class: "sides" }, columns)];
  const strongest = exemplarsOf(study);
  let drawn = "";

  function draw(view, opened) {
    const place = study.placeOf(view);
    const what = [place, opened ? opened.names.join() : "", view.neuron, view.match].join();
    if (what === drawn) return;
    drawn = what;
    const pair = study.pairs[view.pair];
    const sides = [opened ? Array.from(opened.x) : [], opened ? Array.from(opened.y) : []];
    const both = study.sides(place);
    const asked = view.match || view.neuron;
    if (!opened && /^[xy]\d+$/.test(asked)) {
      const [side, neuron] = ["xy".indexOf(asked[0]), Number(asked.slice(1))];
      if (neuron < both[side].neurons) sides[side].push(neuron);
    }
    const [x, y] = sides;
    if (opened)
      heading.textContent = `A match of ${counted(opened.size, "neuron")}: ${x.length} of ${pair.shown[0]}, ${y.length} of ${pair.shown[1]}`;
    else
      heading.textContent =
        x.length + y.length ? `Neuron ${asked}, in no simple match here` : "No match to open here";
    const minimal = opened
      ? `Minimal for ${opened.of.slice(0, 8).join(", ")}${opened.of.length > 8 ? ", …" : ""}: without any of these neurons, it is no match of that one. `
      : "";
    about.textContent = minimal + strongest.about;
    sides.forEach((neurons, side) => {
      const label = h("h4", {}, pair.shown[side]);
      const layer = study.layers[view.layer][side + 1];
      const card = (neuron) => neuronCard(both[side], neuron, strongest, layer, side ? pair.y : pair.x, act);
      const cards = h("ul", { class: "neurons" }, neurons.slice(0, MOST).map(card));
      const more =
        neurons.length > MOST &&
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              cards.append(...neurons.slice(MOST).map(card));
              more.remove();
            },
          },
          `Show all ${neurons.length} neurons`,
        );
      columns[side].replaceChildren(
        label,
        neurons.length ? cards : h("p", { class: "note" }, "none"),
        more || "",
      );
    });
  }

  return { element, heading, draw };
}

function neuronCard(side, neuron, strongest, layer, checkpoint, act) {
  const name = `${side.letter}${neuron}`;
  const facts = [`critical ε ${critical(side.critical[neuron])}`];
  if (side.errors && Number.isFinite(side.errors[neuron])) facts[0] += ` ± ${side.errors[neuron].toFixed(3)}`;
  if (side.heldOut) facts.push(`held-out ${number(side.heldOut[neuron])}`);
  return h(
    "li",
    { "data-neuron": name },
    h(
      "p",
      {},
      h(
        "button",
        {
          type: "button",
          class: "neuron",
          title: "Matches with this neuron",
          onclick: () => act({ neuron: name, match: "" }),
        },
        name,
      ),
      " ",
      h("span", { class: "facts" }, facts.join(" · ")),
    ),
    strongest.of(layer, checkpoint, neuron),
  );
}

/** What neurons fire on: pictures with the place marked, tokens in their context, or numbers of samples. */
function exemplarsOf(study) {
  const places = new Map((study.sprite?.numbers ?? []).map((number, place) => [number, place]));
  const one = study.items.replace(/s$/, "");
  const about = study.exemplars.length
    ? `Of each neuron the ${study.items} at which it is strongest, strongest first. ${study.remark && `${study.remark[0].toUpperCase()}${study.remark.slice(1)}.`}`
    : `This study kept no ${study.items} at which neurons are strongest.`;

  function of(layer, checkpoint, neuron) {
    const found = study.strongest(layer, checkpoint, neuron);
    if (!found) return null;
    if (!found.length || !found.some(({ value }) => value))
      return h("p", { class: "facts" }, "silent: zero everywhere");
    const words = found.some(({ sample }) => String(sample) in study.texts);
    return h(
      "ol",
      { class: words ? "strongest words" : "strongest" },
      found.map((exemplar) => h("li", {}, shown(exemplar))),
    );
  }

  function shown({ sample, value, position, shape }) {
    const where = whereIn(position, shape);
    const label = `${one} ${sample}: ${value.toPrecision(3)}${where.said}`;
    const tokens = study.texts[sample];
    if (tokens) return inContext(tokens, position, label);
    if (!places.has(sample)) return h("span", { class: "tile number", title: label }, String(sample));
    const tile = h("span", { class: "tile", role: "img", "aria-label": label, title: label });
    const { columns, rows } = study.sprite;
    const along = (one, all) => `${all > 1 ? (100 * one) / (all - 1) : 0}%`;
    tile.style.setProperty("--left", along(places.get(sample) % columns, columns));
    tile.style.setProperty("--top", along(Math.floor(places.get(sample) / columns), rows));
    if (where.mark) {
      const mark = h("span", { class: "mark" });
      mark.style.setProperty("--across", where.mark[0]);
      mark.style.setProperty("--down", where.mark[1]);
      tile.append(mark);
    }
    return tile;
  }
  return { about, of };
}

/** Where in a layer's map a position lies, in words and as shares of the picture. */
function whereIn(position, shape) {
  if (shape.length === 2) {
    const [row, column] = [Math.floor(position / shape[1]), position % shape[1]];
    return {
      said: ` at row ${row + 1}, column ${column + 1} of ${shape[0]} × ${shape[1]}`,
      mark: [(column + 0.5) / shape[1], (row + 0.5) / shape[0]],
    };
  }
  return { said: shape.length ? ` at position ${position + 1}` : "", mark: null };
}

/** A token between what stands before and after it, so that those of several lines are below each other. */
function inContext(tokens, position, label) {
  // parts of words bring their spaces along, and single characters need none
  const between = tokens.some((token) => token.length === 1 || /^\s|\s$/.test(token)) ? "" : " ";
  const token = tokens[position] ?? "";
  const seen = /^\s*$/.test(token) ? (token.includes("\n") ? "⏎" : "␣") : token;
  const joined = (some) => some.join(between).replaceAll(/[\r\n]+/g, "⏎");
  const before = joined(tokens.slice(0, position)).slice(-CONTEXT);
  const after = joined(tokens.slice(position + 1)).slice(0, CONTEXT);
  return h(
    "span",
    { class: "line", title: label },
    h("span", { class: "before" }, h("span", {}, before + between)),
    h("mark", {}, seen),
    h("span", { class: "after" }, between + after),
  );
}
