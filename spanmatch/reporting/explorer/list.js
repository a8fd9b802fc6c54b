// The simple matches of a layer at the nearest of the study's ε, in the order asked for.

const PAGE = 12;

/** What the list sorts by: each a heading, a value of a match, how it is written. */
function orders(study) {
  const found = [
    {
      key: "size",
      title: "neurons",
      about: "Neurons of both networks",
      value: (match) => match.size,
      shown: String,
    },
    {
      key: "epsilon",
      title: "from ε",
      about: "The largest critical ε of its neurons",
      value: (match) => match.critical,
      shown: critical,
    },
  ];
  if (study.array("held_out"))
    found.push({
      key: "heldOut",
      title: "held-out",
      about: `The same on held-out ${study.items}`,
      value: (match) => match.heldOut,
      shown: number,
    });
  return found;
}

/** The simple matches at one of the study's ε, with the largest critical ε of the neurons of each. */
function matchesAt(study, view) {
  const place = study.placeOf(view);
  const [x, y] = study.sides(place);
  const largest = (match, name) =>
    Math.max(
      ...Array.from(match.x, (neuron) => x[name][neuron]),
      ...Array.from(match.y, (neuron) => y[name][neuron]),
    );
  return study.matches(place, nearest(study, view.epsilon)).map((match) => ({
    ...match,
    critical: largest(match, "critical"),
    heldOut: x.heldOut ? largest(match, "heldOut") : NaN,
  }));
}

function matchList(study, act) {
  const columns = orders(study);
  const sorting = { by: "epsilon", down: false, shown: PAGE };
  const note = h("p", { class: "note" });
  const find = h("input", {
    id: "explorer-find",
    type: "search",
    placeholder: "x17 or y17",
    size: 9,
    autocomplete: "off",
    spellcheck: "false",
  });
  find.addEventListener("input", () => {
    const neuron = find.value.trim().toLowerCase();
    if (neuron === "" || /^[xy]\d+$/.test(neuron)) act({ neuron, match: "" });
  });
  const heads = columns.map((column) =>
    h(
      "th",
      { scope: "col", title: column.about },
      h(
        "button",
        {
          type: "button",
          class: "sort",
          onclick: () => {
            sorting.down = sorting.by === column.key ? !sorting.down : false;
            sorting.by = column.key;
            act({});
          },
        },
        column.title,
      ),
    ),
  );
  const body = h("tbody");
  const more = h("button", {
    type: "button",
    onclick: () => {
      sorting.shown *= 4;
      act({});
    },
  });
  const table = h(
    "div",
    { class: "wide", role: "region", tabindex: "0", "aria-label": "Simple matches as a table" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "neurons of either network"), heads)),
      body,
    ),
  );
  const element = [
    h("p", { class: "find" }, h("label", { for: "explorer-find" }, "Matches with neuron "), find),
    note,
    table,
    more,
  ];

  const sorted = (matches) => {
    const { value } = columns.find((column) => column.key === sorting.by);
    const order = sorting.down ? -1 : 1;
    return [...matches].sort((one, other) => order * (value(one) - value(other)) || one.size - other.size);
  };

  function draw(view, matches, opened) {
    if (document.activeElement !== find) find.value = view.neuron;
    const wanted = view.neuron ? matches.filter((match) => match.names.includes(view.neuron)) : matches;
    note.textContent = remark(view, matches, wanted);
    heads.forEach((head, place) => {
      const now = columns[place].key === sorting.by;
      head.setAttribute("aria-sort", now ? (sorting.down ? "descending" : "ascending") : "none");
    });
    const found = sorted(wanted);
    body.replaceChildren(...found.slice(0, sorting.shown).map((match) => row(match, match === opened)));
    table.hidden = !found.length;
    more.hidden = found.length <= sorting.shown;
    more.textContent = `Show more of ${found.length.toLocaleString("en")}`;
  }

  function row(match, now) {
    const name = (letters, side) => {
      const all = Array.from(letters, (neuron) => side + neuron);
      return all.length > 5 ? `${all.slice(0, 4).join(" ")} … ${all.length} in all` : all.join(" ");
    };
    const button = h(
      "button",
      {
        type: "button",
        class: "match",
        "aria-pressed": String(now),
        "data-match": match.of[0],
        onclick: () => act({ match: match.of[0] }, { reveal: true }),
      },
      name(match.x, "x") || "–",
      h("span", hidden, " ⟷ "),
      h("span", { class: "unseen" }, " with "),
      name(match.y, "y") || "–",
    );
    return h(
      "tr",
      { class: now ? "now" : null },
      h("th", { scope: "row" }, button),
      columns.map((column) => h("td", {}, column.shown(column.value(match)))),
    );
  }

  function remark(view, matches, wanted) {
    if (!study.array("match_counts").some((count) => count))
      return "No simple matches are known: the study asked for none, or nothing matched.";
    const epsilon = study.epsilons[nearest(study, view.epsilon)];
    const where =
      epsilon === view.epsilon
        ? `At ε = ${written(epsilon)}`
        : `Simple matches are known at the study’s ε; these are of the nearest, ε = ${written(epsilon)}`;
    if (!matches.length) return `${where}: no simple match.`;
    if (view.neuron && !wanted.length)
      return `${where}: none of ${counted(matches.length, "simple match")} holds ${view.neuron}.`;
    return `${where}: ${view.neuron ? `${wanted.length} of ` : ""}${counted(matches.length, "simple match")}. Residuals of a match by itself are not stored: a match is in the maximum match from the largest critical ε of its neurons on.`;
  }

  return { element, find, draw, sorted };
}
