// One layer over ε: the whole curve, on which ε can be taken by hand.

function overEpsilon(study, act) {
  const holder = h("div", { class: "chart grab" });
  const height = 300;
  const frame = { left: 46, right: 14, top: 14, bottom: 40 };

  const stepsAt = remembered((key) => {
    const [place, width] = key.split(" ").map(Number);
    return steps(study.ascending(place), ...scales(width));
  }, 8);
  const scales = (width) => [
    (epsilon) => frame.left + epsilon * (width - frame.left - frame.right),
    (share) => frame.top + (1 - share) * (height - frame.top),
  ];

  function draw(view) {
    const width = widthOf(holder, 240);
    const [x, y] = scales(width);
    const place = study.placeOf(view);
    const svg = sheet(width, height + frame.bottom, {
      "aria-label": `Similarity of ${study.layers[view.layer][0]} over ε, from 0 to 1: ${percent(study.similarity(place, view.epsilon))} at ε = ${written(view.epsilon)}.`,
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
        s("text", { x: x(share), y: height + 18, class: "tick middle" }, String(share)),
      );
    }
    svg.append(
      s("text", { x: (frame.left + width - frame.right) / 2, y: height + 36, class: "tick middle" }, "ε"),
    );
    study.centres.forEach((_, centre) => {
      const d = stepsAt(`${study.placeOf({ ...view, centre })} ${width}`);
      svg.append(s("path", { d, class: centre === view.centre ? "own" : "other-centre" }));
    });
    for (const epsilon of study.epsilons) {
      const known = study.standing(place, epsilon);
      const top = y(study.similarity(place, epsilon));
      if (known.threshold !== undefined)
        svg.append(
          s("path", { d: `M${x(epsilon) - 5},${y(0)}V${y(known.threshold)}h10V${y(0)}Z`, class: "null" }),
        );
      if (Number.isFinite(known.error)) {
        const reach = y(0) - y(known.error);
        svg.append(
          s("path", {
            d: `M${x(epsilon)},${Math.min(top + reach, y(0))}V${Math.max(top - reach, y(1))}`,
            class: "error",
          }),
        );
      }
      svg.append(s("circle", { cx: x(epsilon), cy: top, r: 3, class: "own-point" }));
    }
    const now = study.similarity(place, view.epsilon);
    svg.append(
      s("line", {
        x1: x(view.epsilon),
        x2: x(view.epsilon),
        y1: frame.top - 8,
        y2: height,
        class: "now-line",
      }),
      s("circle", { cx: x(view.epsilon), cy: y(now), r: 6.5, class: "own-point now" }),
    );
    const take = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const share = (pointed(event, holder)[0] - frame.left) / (width - frame.left - frame.right);
      act({ epsilon: Math.round(1000 * Math.min(Math.max(share, 0), 0.999)) / 1000 });
    };
    holder.onpointerdown = take;
    holder.onpointermove = take;
    holder.replaceChildren(svg);
  }

  return { element: [holder], holder, draw };
}

/** The share of critical ε that are at most ε, as steps; not more of them than can be seen. */
function steps(values, x, y) {
  const parts = [`M${x(0).toFixed(1)},${y(0).toFixed(1)}`];
  const apart = Math.max(1, Math.floor(values.length / 400));
  let matched = 0;
  while (matched < values.length && values[matched] < 1) {
    const value = values[matched];
    while (matched < values.length && values[matched] <= value) matched += 1;
    if (matched % apart === 0 || matched === values.length || apart === 1 || !(values[matched] < 1)) {
      parts.push(`H${x(value).toFixed(1)}V${y(matched / values.length).toFixed(1)}`);
    }
  }
  return `${parts.join("")}H${x(1).toFixed(1)}`;
}
