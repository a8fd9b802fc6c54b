// Similarity along the layers: the chosen pair of networks before the others of its moment.

function alongLayers(study, act) {
  const holder = h("div", { class: "chart" });
  const readout = h("p", { class: "readout", ...hidden });
  const height = 300;
  const frame = { left: 46, right: 14, top: 14 };

  function draw(view) {
    const width = widthOf(holder, 280);
    const step = (width - frame.left - frame.right) / study.layers.length;
    const longest = 22;
    const turned = step < 8.5 * Math.max(...study.layers.map(([name]) => Math.min(name.length, longest)));
    const below = turned ? 118 : 30;
    const x = (layer) => frame.left + (layer + 0.5) * step;
    const y = (share) => frame.top + (1 - share) * (height - frame.top);
    const placeAt = (pair, layer, centre = view.centre) => study.placeOf({ centre, pair, layer });
    const points = (pair, centre) =>
      study.layers.map((_, layer) => [
        x(layer),
        y(study.similarity(placeAt(pair, layer, centre), view.epsilon)),
      ]);
    const others = study.pairs.flatMap((pair, place) =>
      place !== view.pair && pair.groups.includes(view.group) ? [place] : [],
    );
    const standing = study.layers.map((_, layer) => study.standing(placeAt(view.pair, layer), view.epsilon));
    const own = points(view.pair, view.centre);
    const otherCentres = study.centres.flatMap((_, centre) => (centre === view.centre ? [] : [centre]));
    const every = Math.ceil(13 / step);

    const svg = sheet(width, height + below, {
      "aria-label": spoken(view, own, y),
    });
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      svg.append(
        s("line", {
          x1: frame.left,
          x2: width - frame.right,
          y1: y(share),
          y2: y(share),
          class: share ? "grid" : "axis",
        }),
        s("text", { x: frame.left - 8, y: y(share) + 4, class: "tick end" }, `${100 * share} %`),
      );
    }
    svg.append(
      s("rect", {
        x: x(view.layer) - step / 2,
        y: frame.top - 8,
        width: step,
        height: height - frame.top + 8,
        class: "chosen",
      }),
    );
    svg.append(...band(standing, (one) => one.threshold, x, y, step));
    svg.append(
      s("path", {
        d: others.map((pair) => lineThrough(points(pair, view.centre))).join(""),
        class: "others",
      }),
    );
    for (const centre of otherCentres)
      svg.append(s("path", { d: lineThrough(points(view.pair, centre)), class: "other-centre" }));
    svg.append(...errors(standing, own, y));
    svg.append(s("path", { d: lineThrough(own), class: "own" }));
    own.forEach(([left, top], layer) => {
      svg.append(
        s("circle", {
          cx: left,
          cy: top,
          r: layer === view.layer ? 6.5 : Math.min(4, step / 3),
          class: layer === view.layer ? "own-point now" : "own-point",
        }),
      );
    });
    study.layers.forEach(([name], layer) => {
      const now = layer === view.layer;
      if (now || (layer % every === 0 && Math.abs(layer - view.layer) >= every)) {
        const at = turned
          ? { transform: `translate(${x(layer) + 4},${height + 12}) rotate(-52)`, class: "tick end" }
          : { x: x(layer), y: height + 18, class: "tick middle" };
        svg.append(s("text", { ...at, class: `${at.class}${now ? " now" : ""}` }, elided(name, longest)));
      }
      svg.append(
        s("rect", {
          x: x(layer) - step / 2,
          y: 0,
          width: step,
          height: height + below,
          class: "hit",
          ...hidden,
          onclick: () => act({ layer, match: "", neuron: "" }),
          onpointerenter: () => {
            readout.textContent = told(view, placeAt(view.pair, layer), layer);
          },
          onpointerleave: () => {
            readout.textContent = "";
          },
        }),
      );
    });
    holder.replaceChildren(svg);
  }

  function spoken(view, own, y) {
    const share = ([, top]) => 1 - (top - frame.top) / (height - frame.top) || 0;
    const [first, last] = [own[0], own[own.length - 1]].map(share);
    const names = study.layers.map(([name]) => name);
    return `Similarity along ${counted(names.length, "layer")} at ε = ${written(view.epsilon)}: ${percent(first)} in ${names[0]}, ${percent(last)} in ${names[names.length - 1]}. The numbers are in the table below.`;
  }

  function told(view, place, layer) {
    return `${study.layers[layer][0]}: ${percent(study.similarity(place, view.epsilon))}`;
  }

  return { element: [holder, readout], holder, draw };
}

/** Up to what chance gives, layer by layer where it is known. */
function band(standing, value, x, y, step) {
  const bars = standing.flatMap((one, layer) => {
    const top = value(one);
    if (top === undefined) return [];
    const [left, right] = [x(layer) - step / 2, x(layer) + step / 2];
    return [
      `M${left.toFixed(1)},${y(0).toFixed(1)}V${y(top).toFixed(1)}H${right.toFixed(1)}V${y(0).toFixed(1)}Z`,
    ];
  });
  return bars.length ? [s("path", { d: bars.join(""), class: "null" })] : [];
}

/** One standard error to either side, layer by layer where it is known. */
function errors(standing, own, y) {
  const bars = standing.flatMap((one, layer) => {
    if (one.error === undefined || !Number.isFinite(one.error)) return [];
    const [left, top] = own[layer];
    const reach = Math.abs(y(one.error) - y(0));
    return [
      `M${left.toFixed(1)},${Math.min(top + reach, y(0)).toFixed(1)}V${Math.max(top - reach, y(1)).toFixed(1)}`,
    ];
  });
  return bars.length ? [s("path", { d: bars.join(""), class: "error" })] : [];
}
