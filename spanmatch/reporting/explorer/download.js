// What is seen, as a file: tables as CSV, charts as SVG and PNG.

function save(name, parts, type = "") {
  const link = h("a", { href: URL.createObjectURL(new Blob(parts, { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Write rows as CSV, each cell with a comma, a quote or a line break in quotes. */
function csv(rows) {
  const cell = (value) => {
    const text = value === undefined || value === null || Number.isNaN(value) ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** Write a chart as an SVG of its own, in the colours in which it is seen. */
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const [seen, kept] = [
    [svg, ...svg.querySelectorAll("*")],
    [copy, ...copy.querySelectorAll("*")],
  ];
  seen.forEach((element, place) => {
    const style = getComputedStyle(element);
    for (const name of [
      "fill",
      "stroke",
      "stroke-width",
      "stroke-dasharray",
      "opacity",
      "fill-opacity",
      "stroke-opacity",
      "font-size",
      "font-family",
      "font-weight",
      "text-anchor",
    ]) {
      kept[place].setAttribute(name, style.getPropertyValue(name));
    }
  });
  kept.filter((element) => element.classList.contains("hit")).forEach((element) => element.remove());
  const back = s("rect", {
    width: "100%",
    height: "100%",
    fill: getComputedStyle(document.body).backgroundColor,
  });
  copy.prepend(back);
  copy.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(copy);
}

function savePng(name, svg) {
  const picture = h("img");
  picture.onload = () => {
    const canvas = h("canvas", { width: 2 * svg.width.baseVal.value, height: 2 * svg.height.baseVal.value });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(`${name}.png`, [blob]));
  };
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg))}`;
}

/** Buttons that save a chart, and the rows behind it. */
function savers(title, name, holder, rows) {
  const button = (kind, act) =>
    h("button", { type: "button", "aria-label": `Save ${title} as ${kind}`, onclick: act }, kind);
  const chart = () => holder.querySelector("svg");
  return h(
    "p",
    { class: "savers" },
    h("span", hidden, "Save as "),
    rows && button("CSV", () => save(`${name}.csv`, [csv(rows())], "text/csv")),
    holder && button("SVG", () => save(`${name}.svg`, [standalone(chart())], "image/svg+xml")),
    holder && button("PNG", () => savePng(name, chart())),
  );
}
