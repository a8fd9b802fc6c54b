// Elements from names and texts. Texts become text nodes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Make an element of HTML. */
const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);

/** Make an element of SVG. */
const s = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

const hidden = { "aria-hidden": "true" };

/** Write a share of one as a percentage. */
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Write ε with all the digits it has, of which there are three at least. */
function written(epsilon) {
  const [short, whole] = [epsilon.toFixed(3), String(epsilon)];
  return Number(short) === epsilon ? short : whole;
}

/** Write a critical ε: a neuron that never matches has none below 1. */
const critical = (value) => (value < 1 ? value.toFixed(3) : "never");

/** Write a number of three decimals, where there is one. */
const number = (value) => (Number.isFinite(value) ? value.toFixed(3) : "none");

const counted = (number, noun) =>
  `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : noun.endsWith("match") ? "es" : "s"}`;

/** Shorten a long name in its middle. */
function elided(name, most) {
  const head = Math.max(1, Math.ceil((most - 1) / 2));
  return name.length <= most
    ? name
    : `${name.slice(0, head)}…${name.slice(name.length - Math.max(1, most - 1 - head))}`;
}

/** Points of a line, as the path of an SVG. */
const lineThrough = (points) =>
  points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");

/** How much larger than 16 pixels the page's letters are: charts grow with them. */
const enlarged = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

/** How wide a chart may be, in units that grow with the page's letters. */
const widthOf = (holder, least) => Math.max(holder.clientWidth / enlarged(), least);

/** Make the SVG of a chart. */
const sheet = (width, height, attributes) =>
  s("svg", {
    width: width * enlarged(),
    height: height * enlarged(),
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    ...attributes,
  });

/** Where a pointer is in a chart, in its units. */
function pointed(event, element) {
  const box = element.getBoundingClientRect();
  return [(event.clientX - box.left) / enlarged(), (event.clientY - box.top) / enlarged()];
}
