"""Size of the explorer's page, and how soon it answers, in a real browser: ``python -m benchmarks.explorer``.

Results are made up: ten networks with the layers of a ResNet56 on small images, all their pairs, five ε, raw
and less means, with nulls, errors and held-out values, simple matches as many and as large as on digits, the
nine strongest images of every neuron; and two networks with one layer of ten thousand neurons.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
from playwright.sync_api import CDPSession, sync_playwright
from scipy.ndimage import gaussian_filter

from benchmarks.clock import markdown
from spanmatch.reporting import (
    ComparisonRow,
    CriticalEpsilons,
    Exemplars,
    MeasureRow,
    NetworkRow,
    Shown,
    SimilarityRow,
    SimpleMatchRow,
    StudyResults,
    explorer_page,
)

EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)
KEPT, IMAGES, STEPS = 9, 2_000, 80
MATCHES, NEURONS = 6, 9  # of a layer at one ε, and of one of them: on digits
RESNET56 = {"stem": 16} | {
    f"stage{stage}.block{block}.relu{number}": 8 * 2**stage
    for stage, block, number in product((1, 2, 3), range(1, 10), (1, 2))
}
WIDE = {"wide": 10_000}
HEADER = (
    "results",
    "page",
    "without explorer",
    "written in",
    "drawn after",
    "a step of ε",
    "95 of 100 within",
    "of the processor",
)

# from a new place of the slider until its frame is painted
MEASURE = """
async (steps) => {
  const slider = document.getElementById("explorer-epsilon");
  const times = [];
  for (let step = 0; step < steps; step += 1) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    await new Promise(requestAnimationFrame);
    const start = performance.now();
    slider.value = String(0.1 + 0.8 * step / steps);
    slider.dispatchEvent(new Event("input"));
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


def results_of(layers: dict[str, int], networks: int, study: str) -> StudyResults:
    rng = np.random.default_rng(0)
    names = [f"seed{number}" for number in range(networks)]
    pairs = [ComparisonRow(f"{x}-final", f"{y}-final", "final") for x, y in combinations(names, 2)]
    critical = [
        one for pair in pairs for layer, width in layers.items() for one in _critical(rng, pair, layer, width)
    ]
    rows = [row for one in critical for row in _similarity(one)]
    pictures = gaussian_filter(rng.uniform(0, 255, (IMAGES, 32, 32, 3)), (0, 2, 2, 0))
    pictures = np.clip(128 + 6 * (pictures - 128), 0, 255).astype(np.uint8)
    return StudyResults(
        study=study,
        layers=tuple(layers),
        comparisons=tuple(pairs),
        networks=tuple(NetworkRow(name, "final", 0.9) for name in names),
        similarity=tuple(rows),
        simple_matches=tuple(match for row in rows for match in _matches(rng, row)),
        critical_epsilons=tuple(critical),
        measures=tuple(map(_measure, rows)),
        ledger={},
        exemplars=tuple(
            _exemplars(rng, layer, width, name) for name, (layer, width) in product(names, layers.items())
        ),
        shown=Shown(dict(enumerate(pictures)), {}),
    )


def _critical(
    rng: np.random.Generator, pair: ComparisonRow, layer: str, width: int
) -> Iterator[CriticalEpsilons]:
    for centre in ("raw", "mean"):
        x, y = rng.uniform(0.1, 1, size=(2, width))
        errors = rng.uniform(0.001, 0.05, size=(2, width))
        places = (layer, pair.checkpoint_x, pair.checkpoint_y)
        yield CriticalEpsilons(*places, x, y, centre, (errors[0], errors[1]), (x + 0.01, y + 0.01))


def _similarity(one: CriticalEpsilons) -> Iterator[SimilarityRow]:
    places = (one.layer, one.checkpoint_x, one.checkpoint_y)
    width = len(one.x)
    for epsilon in EPSILONS:
        x, y = (int((side <= epsilon).sum()) for side in (one.x, one.y))
        share = (x + y) / (2 * width)
        yield SimilarityRow(*places, epsilon, share, x, y, width, width, 0, 0, 10_000, centre=one.centre)


def _matches(rng: np.random.Generator, row: SimilarityRow) -> Iterator[SimpleMatchRow]:
    for number in range(MATCHES if row.neurons_x < 10_000 else 2_000):
        x, y = (np.sort(rng.integers(0, row.neurons_x, NEURONS // 2)).tolist() for _ in "xy")
        places = (row.layer, row.checkpoint_x, row.checkpoint_y, row.epsilon)
        side = "xy"[number % 2]
        yield SimpleMatchRow(*places, (side, (x if side == "x" else y)[0]), tuple(x), tuple(y), row.centre)


def _measure(row: SimilarityRow) -> MeasureRow:
    places = (row.layer, row.layer, row.checkpoint_x, row.checkpoint_y)
    found = MeasureRow(*places, "maximum-match", row.epsilon, row.similarity, row.samples, row.centre)
    null = {"null_mean": 0.02, "threshold": 0.03, "p": 0.0476, "permutations": 20, "level": 0.05}
    return replace(found, **null, error=0.021, held_out=0.9 * row.similarity, folds=10)


def _exemplars(rng: np.random.Generator, layer: str, width: int, network: str) -> Exemplars:
    samples = rng.integers(0, IMAGES, (width, KEPT))
    values = -np.sort(-rng.exponential(2, (width, KEPT)).astype(np.float32))
    return Exemplars(layer, f"{network}-final", samples, values, rng.integers(0, 64, samples.shape), (8, 8))


def measured(results: StudyResults) -> tuple[str, ...]:
    start = time.perf_counter()
    page = explorer_page(results)
    written = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        path.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1400, "height": 1000})
        tab.goto(path.as_uri())
        tab.locator("#explorer .story strong").wait_for()
        drawn = tab.evaluate("() => performance.now()")
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = _processor_seconds(session)
        times = sorted(tab.evaluate(MEASURE, STEPS))
        processor = (_processor_seconds(session) - before) / STEPS
        browser.close()
    static = page[: page.index('<script type="application/json"')]
    sizes = [f"{len(text.encode()) / 1e6:.2f} MB" for text in (page, static)]
    step = [f"{one:.1f} ms" for one in (statistics.median(times), times[int(0.95 * STEPS)])]
    return (results.study, *sizes, f"{written:.1f} s", f"{drawn:.0f} ms", *step, f"{1000 * processor:.1f} ms")


def _processor_seconds(session: CDPSession) -> float:
    """Return what the page's thread has taken of the processor."""
    found = session.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in found if one["name"] == "TaskDuration")


def main() -> None:
    print(markdown([], HEADER))
    for layers, networks, study in (
        (RESNET56, 10, "10 seeds × 55 layers × 5 ε"),
        (WIDE, 2, "2 seeds × 10,000 neurons"),
    ):
        print(f"| {' | '.join(measured(results_of(layers, networks, study)))} |")


if __name__ == "__main__":
    main()
