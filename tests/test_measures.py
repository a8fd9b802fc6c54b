"""The registry of measures, and what holds for each of them."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from flows.study.file import read_study
from flows.study.model import Study
from spanmatch import GramMatrix, match_profile
from spanmatch.errors import UndefinedMeasureError
from spanmatch.measures import (
    MEASURES,
    PASSES,
    Evidence,
    Measure,
    evaluate,
    evaluate_held_out,
    measure_named,
    register,
    undefined_reason,
)

REPOSITORY = Path(__file__).parent.parent
MAXIMUM_MATCH = MEASURES["maximum-match"]

# Drawn layers are small, and one neuron near its own mean is a tenth of them.
pytestmark = pytest.mark.filterwarnings("ignore::spanmatch.OffsetWarning")


def evidence_of(x, y):
    gram = GramMatrix.from_activations(x, y, rows=True)
    return Evidence(gram, match_profile(gram))


def value_of(measure, x, y):
    return evaluate(measure, evidence_of(x, y), 0.5 if measure.parameter else None)


@st.composite
def random_layers(draw):
    """Two shifted layers that share some directions, with critical epsilons that are no round numbers."""
    seed, n_x, n_y = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(seed)
    shared, noise = rng.standard_normal((60, 3)), draw(st.sampled_from([0.01, 0.3, 10.0]))
    x, y = (
        shared @ rng.standard_normal((3, count))
        + noise * rng.standard_normal((60, count))
        + rng.standard_normal(count)
        for count in (n_x, n_y)
    )
    return x, y, rng


def test_measures_are_named_by_their_names():
    assert all(name == measure.name for name, measure in MEASURES.items())
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in MEASURES)
    assert all(measure_named(name) is measure for name, measure in MEASURES.items())


def test_a_name_is_not_registered_twice():
    other = dataclasses.replace(MAXIMUM_MATCH, label="another one")
    with pytest.raises(
        ValueError,
        match=r"^`measures` must have a name each, got 'maximum-match' for maximum match similarity and for "
        "another one; rename one$",
    ):
        register([MAXIMUM_MATCH, other])


def test_the_registry_takes_no_further_measure():
    with pytest.raises(TypeError):
        MEASURES["other"] = MAXIMUM_MATCH


def test_an_unknown_name_is_answered_with_the_nearest():
    known = re.escape(", ".join(MEASURES))
    with pytest.raises(
        ValueError, match=f"^`measure` must be one of: {known}; got 'maximum_match'; did you "
    ):
        measure_named("maximum_match")
    with pytest.raises(ValueError, match=r"got 'xyz'; docs/measures\.md describes them$"):
        measure_named("xyz")


def test_what_the_evidence_does_not_give_is_named_with_the_pass_that_does():
    gram = GramMatrix.from_activations(*np.random.default_rng(0).standard_normal((2, 20, 3)))
    with pytest.raises(
        ValueError,
        match=r"^`evidence` must give profile for measure 'maximum-match', got comoments; it needs a search "
        r"in the Gram matrix, match_profile\(gram\)$",
    ):
        evaluate(MAXIMUM_MATCH, Evidence(gram), 0.3)
    further = dataclasses.replace(MAXIMUM_MATCH, name="other", needs=frozenset({"comoments", "row-norms"}))
    with pytest.raises(
        ValueError,
        match=r"^`evidence` must give row-norms for measure 'other', got comoments, profile; it needs "
        r"sums over samples of \|x\|²\|y\|², GramMatrix.from_activations\(x, y, rows=True\)$",
    ):
        evaluate(further, Evidence(gram, match_profile(gram)), 0.3)


def test_a_parameter_is_given_where_there_is_one():
    evidence = evidence_of(*np.random.default_rng(0).standard_normal((2, 20, 3)))
    without = dataclasses.replace(MAXIMUM_MATCH, parameter=None)
    with pytest.raises(
        TypeError, match=r"^`parameter` must be epsilon for measure 'maximum-match', got None;"
    ):
        evaluate(MAXIMUM_MATCH, evidence)
    with pytest.raises(
        TypeError, match=r"^`parameter` must be left out for measure 'maximum-match', got 0.3;"
    ):
        evaluate(without, evidence, 0.3)


def test_a_value_that_means_nothing_is_none_with_a_reason():
    evidence = Evidence(GramMatrix.zeros(2, 3))
    nothing = Measure("nothing", 1, frozenset({"comoments"}), lambda *_: math.nan, "", "", "")
    assert evaluate(nothing, evidence) is None
    assert undefined_reason(nothing, evidence) == "it is not a number"

    def refuse(*_):
        raise UndefinedMeasureError("there is nothing to see")

    refusing = dataclasses.replace(nothing, function=refuse, held_out=refuse)
    assert evaluate(refusing, evidence) is None
    assert evaluate_held_out(refusing, evidence, evidence) is None
    assert undefined_reason(refusing, evidence) == "there is nothing to see"
    assert undefined_reason(refusing, evidence, test=evidence) == "there is nothing to see"
    half = dataclasses.replace(nothing, function=lambda *_: np.float64(0.5))
    assert evaluate(half, evidence) == 0.5
    assert undefined_reason(half, evidence) is None


def test_a_held_out_value_is_refused_where_nothing_is_fitted():
    evidence = evidence_of(*np.random.default_rng(0).standard_normal((2, 20, 3)))
    with pytest.raises(
        ValueError, match=r"^`measure` must have a held-out value, got 'maximum-match', to which nothing is"
    ):
        evaluate_held_out(MAXIMUM_MATCH, evidence, evidence, 0.3)
    with pytest.raises(ValueError, match=r"^`test` must give comoments for measure 'cca-mean', got nothing;"):
        evaluate_held_out(MEASURES["cca-mean"], evidence, Evidence())


@examples(40)
@given(drawn=random_layers())
def test_centred_evidence_is_that_of_centred_activations(drawn):
    x, y, _ = drawn
    centred = Evidence(GramMatrix.from_activations(x, y)).centred
    expected = GramMatrix.from_activations(x - x.mean(axis=0), y - y.mean(axis=0))
    scale = np.outer(expected.norms, expected.norms)
    np.testing.assert_allclose(centred.matrix / scale, expected.matrix / scale, rtol=0, atol=1e-11)
    assert (centred.n_samples, centred.n_x, centred.n_y) == (60, x.shape[1], y.shape[1])


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e8, 1e-8])
def test_a_constant_neuron_is_dead_when_centred(constant):
    x, y = np.random.default_rng(0).standard_normal((2, 5000, 3))
    x[:, 1] = constant
    dead = Evidence(GramMatrix.from_activations(x, y)).centred.dead
    assert (dead.x.tolist(), dead.y.tolist()) == ([1], [])


@pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
def test_a_measure_says_what_it_is(measure):
    assert measure.version >= 1
    assert measure.needs <= PASSES.keys()
    assert measure.bounds[0] < measure.bounds[1]
    assert re.search(r"arXiv \d{4}\.\d{4,5}", measure.reference)
    assert measure.definition.endswith(".")
    assert measure.label


@pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
@examples(40)
@given(drawn=random_layers())
def test_a_value_is_within_bounds_whatever_the_order_of_neurons_samples_and_sides(measure, drawn):
    x, y, rng = drawn
    value = value_of(measure, x, y)
    low, high = measure.bounds
    assert low <= value <= high
    assert low <= value_of(measure, x, x) <= high  # at an end, where rounding might go beyond
    samples, neurons = rng.permutation(len(x)), rng.permutation(x.shape[1])
    for other in (
        (x[samples], y[samples]),
        (x[:, neurons], y[:, ::-1]),
        *([(y, x)] if measure.symmetric else []),
    ):
        assert value_of(measure, *other) == pytest.approx(value, abs=1e-9)


HELD_OUT = {name: measure for name, measure in MEASURES.items() if measure.held_out}


@pytest.mark.parametrize("measure", HELD_OUT.values(), ids=list(HELD_OUT))
@examples(25)
@given(drawn=random_layers())
def test_a_held_out_value_is_of_no_order_and_on_the_same_samples_the_value_itself(measure, drawn):
    x, y, rng = drawn
    train, test = (x[:40], y[:40]), (x[40:], y[40:])
    whole = evidence_of(x, y)
    # both of all samples, one in its own units: a change of unit is not one of value
    assert evaluate_held_out(measure, whole, evidence_of(x, y)) == pytest.approx(
        evaluate(measure, whole), abs=1e-9
    )
    value = evaluate_held_out(measure, evidence_of(*train), evidence_of(*test))
    samples, neurons = rng.permutation(40), rng.permutation(x.shape[1])
    others = [
        ((x[samples], y[samples]), test),
        tuple((a[:, neurons], b[:, ::-1]) for a, b in (train, test)),
        *([tuple((b, a) for a, b in (train, test))] if measure.symmetric else []),
    ]
    for one, other in others:
        again = evaluate_held_out(measure, evidence_of(*one), evidence_of(*other))
        assert again == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=list(MEASURES))
@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_a_measure_of_layers_without_variance_says_so_unless_a_mean_can_match(measure, constant):
    x, y = np.random.default_rng(0).standard_normal((2, 40, 3))
    flat = np.full_like(x, constant)
    for side, pair in (("x", (flat, y)), ("y", (y, flat))):
        evidence = evidence_of(*pair)
        if measure.depends_on_centre:
            value = evaluate(measure, evidence, 0.5 if measure.parameter else None)
            assert measure.bounds[0] <= value <= measure.bounds[1]
            continue
        reason = f"no neuron of layer {side} varies over the 40 samples"
        assert evaluate(measure, evidence) is None
        assert undefined_reason(measure, evidence) == reason
        if measure.held_out:
            varied = evidence_of(x, y)
            for one, other in ((varied, evidence), (evidence, varied)):
                assert evaluate_held_out(measure, one, other) is None
                assert undefined_reason(measure, one, test=other) == reason


def test_every_measure_but_those_of_the_profile_and_the_debiased_one_has_a_held_out_value():
    without = {name for name in MEASURES if name not in HELD_OUT}
    assert without == {"maximum-match", "mean-critical-epsilon", "similarity-area", "debiased-cka"}


def test_usual_measures_are_those_of_the_documentation():
    usual = [name for name, measure in MEASURES.items() if measure.usual]
    assert usual == ["maximum-match", "mean-critical-epsilon", "similarity-area", "linear-cka", "cca-mean"]
    text = " ".join((REPOSITORY / "docs/measures.md").read_text(encoding="utf-8").split())
    assert f"`usual` ones: {', '.join(f'`{name}`' for name in usual[:-1])} and `{usual[-1]}`." in text


def test_the_only_measure_that_is_lower_for_closer_layers_is_a_distance():
    rng = np.random.default_rng(0)
    x, other = rng.standard_normal((2, 200, 4))
    near, far = x + 0.1 * other, x + 3 * other
    for name, measure in MEASURES.items():
        closer = value_of(measure, x, near) - value_of(measure, x, far)
        assert closer > 0 if measure.higher_is_closer else closer < 0, name
    assert [name for name in MEASURES if not MEASURES[name].higher_is_closer] == ["mean-critical-epsilon"]


def test_every_measure_is_documented():
    rows = (REPOSITORY / "docs/measures.md").read_text(encoding="utf-8").splitlines()
    for name, measure in MEASURES.items():
        (row,) = [row for row in rows if row.startswith(f"| `{name}` ") and "arxiv" in row]
        (number,) = re.findall(r"arXiv (\d{4}\.\d{4,5})", measure.reference)
        assert f"https://arxiv.org/abs/{number}" in row


STUDY = {"name": "a", "dataset": "digits", "architecture": "vgg9-digits", "images": 100, "epsilons": [0.5]}


@pytest.mark.parametrize("named", ["linear_cka", ["maximum-match", "linear_cka"]])
def test_a_study_file_with_a_wrong_name_of_a_measure_is_answered_with_the_nearest(named, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**STUDY, "seeds": [0, 1], "root": "root", "measures": named}))
    with pytest.raises(
        ValueError, match=r"`measures` must be one of: .*'linear_cka'; did you mean 'linear-cka'\?"
    ):
        read_study(file)


@pytest.mark.parametrize("said", ["all", ["all"], ["linear-cka", "all"]])
def test_a_study_can_ask_for_all_measures(said):
    study = Study(**STUDY, seeds=[0, 1], root="root", measures=said)
    assert sorted(study.measures) == sorted(MEASURES)


def test_an_alias_in_a_study_is_the_measure_that_it_stands_for():
    def measures(*said: str) -> list[str]:
        return Study(**STUDY, seeds=[0, 1], root="root", measures=list(said)).measures

    assert measures("cka") == measures("linear-cka")
    assert measures("default", "cka").count("linear-cka") == 1
    with pytest.raises(ValueError, match="linear-cka"):
        measures("linear-cka", "cka")
    names = [name for measure in MEASURES.values() for name in (measure.name, *measure.aliases)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("said", [{}, {"measures": "default"}, {"measures": ["default"]}])
def test_a_study_that_names_no_measure_has_the_usual_ones(said):
    study = Study(**STUDY, seeds=[0, 1], root="root", **said)
    assert study.measures == [measure.name for measure in MEASURES.values() if measure.usual]


def test_the_maximum_match_is_among_the_measures_of_every_study():
    study = Study(**STUDY, seeds=[0, 1], root="root", measures=["linear-cka"])
    assert study.measures == ["maximum-match", "linear-cka"]
