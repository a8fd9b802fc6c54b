// What the page knows of the study: its document, and its arrays by centre, pair, layer and ε.

/** Read an array that stands in the page as text. */
function arrayNamed(types, name) {
  if (!(name in types)) return null;
  const text = atob(document.getElementById(`explorer-${name}`).textContent);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  if (types[name] === "Half") return Float32Array.from(new Uint16Array(bytes.buffer), fromHalf);
  const kinds = {
    Uint8: Uint8Array,
    Uint16: Uint16Array,
    Uint32: Uint32Array,
    Float32: Float32Array,
    Float64: Float64Array,
  };
  return new kinds[types[name]](bytes.buffer);
}

/** Read a number of half precision, which not every browser knows yet. */
function fromHalf(bits) {
  const [exponent, part] = [(bits >> 10) & 31, (bits & 1023) / 1024];
  const size =
    exponent === 0
      ? part * 2 ** -14
      : exponent === 31
        ? part
          ? NaN
          : Infinity
        : (1 + part) * 2 ** (exponent - 15);
  return bits >> 15 ? -size : size;
}

/** A number of single precision, without the digits that it has beyond that. */
const single = (value) => Number(value.toPrecision(7));

/** Where each of several runs starts, from how long they are; one place more, for the end. */
function starts(lengths) {
  const found = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, place) => {
    found[place + 1] = found[place] + length;
  });
  return found;
}

/** Remember what was made last for each key, of so many keys. */
function remembered(make, most = 200) {
  const kept = new Map();
  return (key) => {
    if (!kept.has(key)) {
      if (kept.size >= most) kept.delete(kept.keys().next().value);
      kept.set(key, make(key));
    }
    return kept.get(key);
  };
}

function readStudy() {
  const told = JSON.parse(document.getElementById("explorer-document").textContent);
  const array = remembered((name) => arrayNamed(told.arrays, name), Infinity);
  const sizes = array("sizes");
  const offsets = starts(sizes);
  const placeOf = (view) => (view.centre * told.pairs.length + view.pair) * told.layers.length + view.layer;

  const heldOut = remembered(
    () =>
      array("held_out") &&
      Float64Array.from(array("held_out"), (one) => (one === 65535 ? Infinity : one / 1000)),
  );
  const side = (name, run) => array(name) && array(name).subarray(offsets[run], offsets[run + 1]);
  const sides = (place) =>
    ["x", "y"].map((letter, number) => ({
      letter,
      neurons: sizes[2 * place + number],
      critical: side("critical", 2 * place + number),
      errors: side("errors", 2 * place + number),
      heldOut: heldOut() && heldOut().subarray(offsets[2 * place + number], offsets[2 * place + number + 1]),
    }));
  const ascending = remembered(
    (place) =>
      array("critical")
        .slice(offsets[2 * place], offsets[2 * place + 2])
        .sort(),
    Infinity,
  );

  /** Share of the neurons of both networks whose critical ε is at most ε. */
  function similarity(place, epsilon) {
    const values = ascending(place);
    let [low, high] = [0, values.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= epsilon) low = middle + 1;
      else high = middle;
    }
    return values.length ? low / values.length : 0;
  }

  const known = ["error", "null_mean", "threshold", "p", "held_out", "low", "high"];
  /** What is known of similarity at one of the study's ε; empty at any other. */
  function standing(place, epsilon) {
    const number = told.epsilons.indexOf(epsilon);
    const found = {};
    if (number < 0) return found;
    for (const name of known) {
      const values = array(name === "held_out" ? "similarity_held_out" : name);
      const value = values ? values[place * told.epsilons.length + number] : NaN;
      if (!Number.isNaN(value)) found[name] = single(value);
    }
    return found;
  }

  const runs = remembered(() => {
    const shapes = array("match_shapes");
    const [members, minimal] = [[], []];
    for (let place = 0; place < shapes.length; place += 3) {
      minimal.push(shapes[place]);
      members.push(shapes[place + 1] + shapes[place + 2]);
    }
    return { matches: starts(array("match_counts")), members: starts(members), minimal: starts(minimal) };
  });

  /** The simple matches at one of the study's ε: neurons of either side, and for which it is minimal. */
  function matches(place, number) {
    const { matches: first, members, minimal } = runs("all");
    const shapes = array("match_shapes");
    const key = place * told.epsilons.length + number;
    const found = [];
    for (let match = first[key]; match < first[key + 1]; match += 1) {
      const both = array("match_neurons").subarray(members[match], members[match + 1]);
      const [x, y] = [both.subarray(0, shapes[3 * match + 1]), both.subarray(shapes[3 * match + 1])];
      const names = [...Array.from(x, (neuron) => `x${neuron}`), ...Array.from(y, (neuron) => `y${neuron}`)];
      const of = Array.from(
        array("match_minimal").subarray(minimal[match], minimal[match + 1]),
        (member) => names[member],
      );
      found.push({ x, y, names, of, size: names.length });
    }
    return found;
  }

  const firstExemplar = starts(told.exemplars.map((one) => one.neurons * one.kept));
  const tableOf = remembered(
    (name) => told.exemplars.findIndex((one) => JSON.stringify([one.layer, one.checkpoint]) === name),
    Infinity,
  );
  /** The samples at which a neuron is strongest, strongest first; null where none are known. */
  function strongest(layer, checkpoint, neuron) {
    const table = tableOf(JSON.stringify([layer, checkpoint]));
    if (table < 0) return null;
    const { kept, shape, neurons } = told.exemplars[table];
    if (neuron >= neurons) return null;
    const start = firstExemplar[table] + neuron * kept;
    const found = [];
    for (let place = start; place < start + kept; place += 1) {
      const sample = array("samples")[place] - 1;
      if (sample >= 0)
        found.push({ sample, value: array("values")[place], position: array("positions")[place], shape });
    }
    return found;
  }

  return { ...told, array, placeOf, sides, ascending, similarity, standing, matches, strongest };
}
