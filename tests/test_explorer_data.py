"""What stands in the explorer's page: arrays and names, read back, against the results they were made of."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_results import make_results, with_everything
from PIL import Image
from test_reporting import Page

from spanmatch.reporting import Exemplars, Shown, Terms, explorer_page, report_page
from spanmatch.reporting.explorer.packed import smallest, to_half, to_single, to_thousandths
from spanmatch.reporting.explorer.sprite import sprite_of

EVERYTHING = with_everything(make_results())
HOSTILE = '</script><script>alert("1")</script><!-- \u2028 ε&amp; \'"'


@pytest.fixture(scope="module")
def page():
    return explorer_page(EVERYTHING)


def embedded(page):
    """Return the document of a page, and its arrays."""
    (text,) = re.findall(r'<script type="application/json" id="explorer-document">(.*?)</script>', page)
    document = json.loads(text)
    kinds = {"Uint8": "u1", "Uint16": "<u2", "Uint32": "<u4", "Float32": "<f4", "Half": "<f2"}
    found = re.findall(r'<script type="application/octet-stream" id="explorer-(\w+)">(.*?)</script>', page)
    return document, {
        name: np.frombuffer(base64.b64decode(text), kinds[document["arrays"][name]]) for name, text in found
    }


@given(
    st.lists(st.one_of(st.floats(0, 1.5), st.integers(0, 10_000).map(lambda n: n / 10_000), st.just(2.0))),
    st.lists(st.floats(0, 1), max_size=3),
)
def test_no_critical_epsilon_is_rounded_across_an_epsilon_that_can_be_shown(critical, epsilons):
    exact = np.array(critical, dtype=np.float64)
    near = np.concatenate([exact, np.nextafter(exact, 3), np.nextafter(exact, -1), [np.inf]])
    single = to_single(near, epsilons).astype(np.float64)
    shown = np.concatenate([epsilons, np.round(10_000 * np.minimum(exact, 1)) / 10_000])[:, None]
    assert ((single <= shown) == (near <= shown)).all()


def test_numbers_take_the_smallest_type_that_holds_them():
    assert [smallest(numbers).dtype.str[1:] for numbers in ([], [255], [256], [70_000])] == [
        "u1",
        "u1",
        "u2",
        "u4",
    ]
    assert to_half([0, 1.5, np.inf, np.nan]).dtype == np.float16
    assert to_half([1e6]).dtype == to_half([1e-7]).dtype == np.float32
    assert to_thousandths([0.2345678, 2, np.inf, np.nan]).tolist() == [235, 2000, 65535, 65535]


def test_the_page_holds_what_the_results_say(page):
    document, arrays = embedded(page)
    found = {
        (centre, pair["x"], pair["y"], layer[0]): place
        for place, (centre, pair, layer) in enumerate(
            (centre, pair, layer)
            for centre in document["centres"]
            for pair in document["pairs"]
            for layer in document["layers"]
        )
    }
    starts = np.concatenate([[0], np.cumsum(arrays["sizes"], dtype=np.int64)])
    for row in EVERYTHING.similarity:
        place = found[row.centre, row.checkpoint_x, row.checkpoint_y, row.layer]
        critical = arrays["critical"][starts[2 * place] : starts[2 * place + 2]]
        assert np.count_nonzero(critical <= row.epsilon) / len(critical) == row.similarity
        at = place * len(document["epsilons"]) + document["epsilons"].index(row.epsilon)
        assert arrays["low"][at] == np.float32(row.low)
    for one in EVERYTHING.critical_epsilons:
        place = found[one.centre, one.checkpoint_x, one.checkpoint_y, one.layer]
        part = slice(starts[2 * place], starts[2 * place + 1])
        assert arrays["errors"][part].tolist() == pytest.approx(one.errors[0].tolist(), rel=1e-3)
        assert arrays["held_out"][part].tolist() == to_thousandths(one.held_out[0]).tolist()
    for row in EVERYTHING.measures:
        if row.measure == "maximum-match":
            place = found[row.centre, row.checkpoint_x, row.checkpoint_y, row.layer_x]
            at = place * len(document["epsilons"]) + document["epsilons"].index(row.parameter)
            for name in ("error", "null_mean", "threshold", "p"):
                assert arrays[name][at] == np.float32(getattr(row, name))
            assert arrays["similarity_held_out"][at] == np.float32(row.held_out)


def test_names_are_never_markup():
    results = make_results(layers=(HOSTILE, "relu"), study=HOSTILE)
    results = replace(results, shown=Shown({}, {7: (HOSTILE, " b")}, remark=HOSTILE))
    page = explorer_page(results)
    document, _ = embedded(page)
    assert document["study"] == document["layers"][0][0] == document["texts"]["7"][0] == HOSTILE
    assert "alert" not in re.sub(r'<script type="application/json".*?</script>', "", page).replace(
        "&lt;script&gt;alert", ""
    )
    assert page.count("<script>") == 1


def test_the_only_script_that_runs_is_the_one_whose_digest_the_policy_names(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert not {"link", "iframe", "img"} & set(Page(page).tags)
    assert not re.search(r"url\((?!#|data:)", page)


def test_without_scripts_the_page_is_the_report(page):
    """Equal results give equal bytes; what runs no script sees all of the report, and nothing else."""
    report = report_page(EVERYTHING)
    assert page == explorer_page(with_everything(make_results()))
    head, body = report.split("</style>")[1:], report.partition('<div class="column">')[2]
    assert len(head) == 1
    assert body.partition("</main>")[0] in page
    parsed = Page(re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    seen = Page(re.sub(r"<style.*?</style>", "", report, flags=re.DOTALL))
    assert "".join(parsed.texts).split() == "".join(seen.texts).split()


def test_pictures_lie_in_a_sprite_and_shrink_where_they_would_take_too_much():
    colours = {number: np.full((8, 6, 3), number, np.uint8) for number in (40, 3, 200, 90, 120)}
    sprite = sprite_of(colours)
    assert (sprite["numbers"], sprite["columns"], sprite["rows"], sprite["side"]) == (
        [3, 40, 90, 120, 200],
        3,
        2,
        32,
    )
    kind, _, text = sprite["image"].partition(";base64,")
    assert kind == "data:image/png"
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("L"))
    assert [sheet[16 + 32 * (n // 3), 16 + 32 * (n % 3)] for n in range(5)] == sprite["numbers"]
    noise = np.random.default_rng(0).integers(0, 256, (2500, 48, 48, 3), dtype=np.uint8)
    sprite = sprite_of(dict(enumerate(noise)))
    assert sprite["side"] < 48
    assert len(sprite["image"]) <= 3_000_000
    assert sprite_of({}) is None


def test_exemplars_are_told_with_none_where_there_are_fewer():
    samples = np.array([[5, 300], [2, -1]])
    values = np.array([[1.5, 1.25], [0.5, np.nan]], np.float32)
    one = Exemplars("relu1_1", "seed0-final", samples, values, np.array([[3, 0], [1, 0]]), (2, 2))
    document, arrays = embedded(explorer_page(replace(EVERYTHING, exemplars=(one,))))
    assert arrays["samples"].tolist() == [6, 301, 3, 0]
    assert arrays["values"].tolist()[:3] == [1.5, 1.25, 0.5]
    assert arrays["positions"].tolist() == [3, 0, 1, 0]
    assert document["exemplars"] == [
        {"layer": "relu1_1", "checkpoint": "seed0-final", "neurons": 2, "kept": 2, "shape": [2, 2]}
    ]


def test_samples_that_are_no_images_are_never_called_so():
    results = replace(with_everything(make_results(layers=("fc",))), terms=Terms(items="sentences"))
    found = re.sub(
        r"<svg.*?</svg>|base64,[\w+/=]*|data:image/[\w+]*", "", explorer_page(results), flags=re.DOTALL
    )
    assert not re.findall(r".{30}\bimages?\b.{30}", found, re.IGNORECASE)
