// What is looked at: kept in the address, so that a link restores it.

function readView(study) {
  const asked = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const strange = [];
  const chosen = (name, names, otherwise) => {
    const place = names.indexOf(asked.get(name));
    if (place < 0 && asked.has(name)) strange.push(`${name} “${asked.get(name)}”`);
    return place < 0 ? otherwise : place;
  };
  const last = Math.max(study.groups.length - 1, 0);
  const group = chosen("moment", study.groups, -1);
  const labels = study.pairs.map((pair) => `${pair.x}~${pair.y}`);
  const start = study.pairs.findIndex((pair) => pair.groups.includes(group < 0 ? last : group));
  const pair = chosen("pair", labels, Math.max(start, 0));
  const groups = study.pairs.length ? study.pairs[pair].groups : [0];
  const epsilon = Number(asked.get("epsilon") ?? NaN);
  const usable = epsilon >= 0 && epsilon < 1;
  if (asked.has("epsilon") && !usable) strange.push(`epsilon “${asked.get("epsilon")}”`);
  return {
    group: groups.includes(group) ? group : groups[0],
    pair,
    centre: chosen("centre", study.centres, 0),
    layer: chosen(
      "layer",
      study.layers.map(([name]) => name),
      -1,
    ),
    epsilon: usable ? epsilon : (study.epsilons[(study.epsilons.length - 1) >> 1] ?? 0.3),
    match: asked.get("match") ?? "",
    neuron: asked.get("neuron") ?? "",
    strange,
  };
}

function writeView(study, view) {
  const asked = new URLSearchParams();
  if (study.layers.length) {
    const pair = study.pairs[view.pair];
    asked.set("layer", study.layers[view.layer][0]);
    asked.set("epsilon", String(view.epsilon));
    asked.set("pair", `${pair.x}~${pair.y}`);
    if (pair.groups.length > 1) asked.set("moment", study.groups[view.group]);
  } else asked.set("epsilon", String(view.epsilon));
  if (study.centres.length > 1) asked.set("centre", study.centres[view.centre]);
  if (view.match) asked.set("match", view.match);
  if (view.neuron) asked.set("neuron", view.neuron);
  history.replaceState(null, "", `#${asked}`);
}

/** The study's ε that is nearest to another one: where simple matches are known. */
function nearest(study, epsilon) {
  let found = 0;
  study.epsilons.forEach((value, place) => {
    if (Math.abs(value - epsilon) < Math.abs(study.epsilons[found] - epsilon)) found = place;
  });
  return found;
}
