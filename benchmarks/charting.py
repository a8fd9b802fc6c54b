"""One chart drawn by several libraries, and by hand: ``python -m benchmarks.charting``.

In an environment of its own, so that the project's stays as it is::

    pip install vl-convert-python bokeh plotly playwright

The chart is the explorer's first: similarity along 55 layers of 45 pairs of networks, a line each, redrawn
for each step of ε. Pages hold the library whole, from its package on PyPI, and a content security policy
without `unsafe-eval`; Debian's Chromium opens them from disk.
"""

import base64
import hashlib
import json
import shutil
import statistics
import tempfile
from pathlib import Path

import bokeh
import plotly
import vl_convert
from playwright.sync_api import sync_playwright

from benchmarks.clock import markdown

LAYERS, PAIRS, NEURONS, STEPS = 55, 45, 74, 80
HEADER = ("drawn by", "bytes", "drawn after", "a step of ε", "95 of 100 within", "named parts", "console")

DATA = f"""
const layers = {LAYERS}, pairs = {PAIRS}, neurons = {NEURONS};
let state = 1;
const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
const sorted = () => Float64Array.from({{length: neurons}}, random).sort();
const critical = Array.from({{length: pairs * layers}}, sorted);
const share = (pair, layer, epsilon) => {{
  const values = critical[pair * layers + layer];
  let matched = 0;
  while (matched < neurons && values[matched] <= epsilon) matched += 1;
  return matched / neurons;
}};
const line = (pair, epsilon) => Array.from({{length: layers}}, (_, layer) => share(pair, layer, epsilon));
const all = (epsilon) => Array.from({{length: pairs}}, (_, pair) => line(pair, epsilon));
const chart = document.getElementById("chart");
"""

VEGA = """
const rows = (epsilon) => all(epsilon).flatMap((values, pair) => values.map((y, x) => ({pair, x, y})));
const spec = SPEC;
const options = {mode: "vega", ast: true, actions: false, renderer: "svg"};
const ready = vegaEmbed(chart, spec, options).then(({view}) => {
  window.update = (epsilon) => {
    const changes = view.changeset().remove(() => true).insert(rows(epsilon));
    return view.change("table", changes).runAsync();
  };
  return window.update(0.3);
});
"""

VEGA_LITE = {
    "data": {"name": "table"},
    "width": 800,
    "height": 320,
    "mark": "line",
    "encoding": {
        "x": {"field": "x", "type": "quantitative"},
        "y": {"field": "y", "type": "quantitative", "scale": {"domain": [0, 1]}},
        "detail": {"field": "pair"},
    },
}

BOKEH = """
const {Plotting, ColumnDataSource} = {...Bokeh, Plotting: Bokeh.Plotting};
const xs = Array.from({length: pairs}, () => Array.from({length: layers}, (_, x) => x));
const source = new ColumnDataSource({data: {xs, ys: all(0.3)}});
const figure = Plotting.figure({width: 800, height: 320, y_range: [0, 1], tools: ""});
figure.multi_line({field: "xs"}, {field: "ys"}, {source});
const ready = Plotting.show(figure, chart);
window.update = (epsilon) => { source.data = {xs, ys: all(epsilon)}; };
"""

PLOTLY = """
const traces = (epsilon) => all(epsilon).map((y) => ({y, mode: "lines"}));
const layout = {width: 800, height: 320, showlegend: false, yaxis: {range: [0, 1]}};
const ready = Plotly.newPlot(chart, traces(0.3), layout, {staticPlot: true});
window.update = (epsilon) => Plotly.react(chart, traces(epsilon), layout, {staticPlot: true});
"""

BY_HAND = """
const made = (name, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const svg = made("svg", {viewBox: "0 0 800 320", width: 800, role: "img", "aria-label": "similarity"});
const path = () => svg.appendChild(made("path", {fill: "none", stroke: "#0072b2"}));
const paths = Array.from({length: pairs}, path);
chart.append(svg);
window.update = (epsilon) => all(epsilon).forEach((values, pair) => {
  const points = values.map((y, x) => `${(x * 800 / (layers - 1)).toFixed(1)},${(320 - 320 * y).toFixed(1)}`);
  paths[pair].setAttribute("d", `M${points.join("L")}`);
});
window.update(0.3);
const ready = Promise.resolve();
"""

MEASURE = """
async (steps) => {
  await window.ready;
  const times = [];
  for (let step = 0; step < steps; step += 1) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    await new Promise(requestAnimationFrame);
    const start = performance.now();
    await window.update(0.1 + 0.8 * step / steps);
    await new Promise((resolve) => requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = resolve;
      channel.port2.postMessage(0);
    }));
    times.push(performance.now() - start);
  }
  return times;
}
"""


def scripts() -> dict[str, list[str]]:
    """Return the scripts of each page: the library, and what draws the chart with it."""
    spec = vl_convert.vegalite_to_vega(VEGA_LITE)
    bokeh_files = Path(bokeh.__file__).parent / "server" / "static" / "js"
    plotly_file = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    return {
        "Vega, SVG, interpreter": [
            vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
            VEGA.replace("SPEC", json.dumps(spec)),
        ],
        "Bokeh": [
            (bokeh_files / "bokeh.min.js").read_text("utf-8"),
            (bokeh_files / "bokeh-api.min.js").read_text("utf-8"),
            BOKEH,
        ],
        "Plotly": [plotly_file.read_text("utf-8"), PLOTLY],
        "SVG by hand": [BY_HAND],
    }


def page(library: list[str]) -> str:
    """Write a page of its own for the scripts of one library."""
    *whole, chart = (script.replace("</script", "<\\/script") for script in library)
    texts = [*whole, f'"use strict"; {{{DATA}{chart}\nwindow.ready = ready;}}']
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts
    )
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:"
    elements = "".join(f"<script>{text}</script>" for text in texts)
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>chart</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<div id="chart"></div>{elements}</html>'
    )


def main() -> None:
    print(markdown([], HEADER))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, library in scripts().items():
            path = Path(folder) / "page.html"
            path.write_text(page(library), encoding="utf-8")
            complaints: list[str] = []
            tab = browser.new_page()
            tab.on("console", lambda message, said=complaints: said.append(message.text))
            tab.on("pageerror", lambda error, said=complaints: said.append(str(error)))
            tab.goto(path.as_uri())
            tab.evaluate("async () => { await window.ready; }")
            drawn = tab.evaluate("() => performance.now()")
            times = sorted(tab.evaluate(MEASURE, STEPS))
            named = tab.locator("#chart [aria-label]").count()
            size = sum(len(text.encode()) for text in library)
            step = [f"{time:.1f} ms" for time in (statistics.median(times), times[int(0.95 * STEPS)])]
            cells = [name, f"{size:,}", f"{drawn:.0f} ms", *step, str(named), str(len(complaints))]
            print(f"| {' | '.join(cells)} |")
            tab.close()
        browser.close()


if __name__ == "__main__":
    main()
