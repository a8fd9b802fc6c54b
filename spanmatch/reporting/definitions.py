"""Definitions of the terms of a report; those of measures are the registry's.

``{items}`` stands for what a study's samples are called.
"""

from spanmatch.measures import MEASURES, Measure
from spanmatch.reporting.aggregate import study_centres
from spanmatch.reporting.measure_values import shown_measures
from spanmatch.reporting.results import StudyResults
from spanmatch.reporting.standing import CLEARS

__all__ = ["definitions"]


def _term(measure: Measure) -> str:
    return measure.label[0].upper() + measure.label[1:]


_MAXIMUM_MATCH = MEASURES["maximum-match"]

_DEFINITIONS = {
    "What is compared": """
        Two networks, or one network at two moments of its training, see the same {items} in the same order. A
        neuron is a unit of a fully connected layer or a channel of a convolutional one, and is described by
        its activations over all samples: {items}, or all positions of each of them.""",
    "Tolerance ε": """
        A neuron is within ε of a set of neurons of the other network when their best linear combination
        misses at most the fraction ε of its activation vector's length. 0 asks for exact reproduction, 1 for
        nothing.""",
    _term(_MAXIMUM_MATCH): _MAXIMUM_MATCH.definition,
    "Simple match": """
        A match that smaller matches cannot make up: the finest unit of what two layers share. One neuron on
        each side is a feature that both networks learned as a neuron; a large simple match is a subspace that
        both learned, each with its own choice of axes.""",
    "Dead neuron": """
        A neuron that is zero on every sample. It is in no match, and still counts among all neurons, so it
        lowers the similarity.""",
}


_NULL = {
    "Null": """
        What chance gives: the same computation with the {items} of one of the two networks permuted, all
        positions of each together, so that nothing is left to share but what all {items} have. Grey in the
        figures: its mean over the permutations, and the threshold that a value must pass at the level.""",
    "p": f"""
        The share of permutations that come as close as the {{items}} in their order do, these included: with
        20 permutations at least 1/21. For a group it is the largest of its pairs; a value clears its null
        where {CLEARS} the level, and is drawn hollow or marked ○ where not. Of twenty layers that share
        nothing about one would clear by chance in a group of one pair.""",
}
_FAMILY = {
    "Family-wise p": """
        The same over all layers, or all pairs of layers, that are compared of two networks at once: the share
        of permutations in which any of them stands out from its null as far as this one. Where none shares
        anything, some have 0.05 or less in one study of twenty, however many there are.""",
}
_ERROR = {
    "Standard error": """
        How far a value would move with other {items} of the same kind, by the jackknife: computed again with
        each fold of the {items} left out. For a group it is the mean over the pairs, which is not less than
        that of their mean. It says nothing of other networks: for that look at the range over the pairs.""",
}
_HELD_OUT = {
    "Held-out": """
        The value when combinations are fitted to all folds of the {items} but one and judged on that one, as
        a mean over the folds. What is fitted to few {items} falls here.""",
}
_CENTRE = {
    "Raw and centred": """
        Raw activations are compared as they are, as in the paper: where all neurons share a mean direction,
        that alone can be a match. Centred, each neuron is taken less its mean over all samples, and a
        constant neuron is dead. Measures named without either subtract means by themselves.""",
}
_GROWTH = {
    "Settled": """
        A value has settled where it moved by no more than two standard errors while the number of {items}
        doubled. One that still falls or rises says as much of the number of {items} as of the networks.""",
}
_COVER = {
    "Cover": """
        Simple matches that together make up the maximum match. There are many such covers: which one is found
        depends on the order of searching, so their number is given as a range over several orders.""",
}
_ESSENTIAL = {
    "Essential neuron": """
        Neuron u is essential for neuron v where v leaves the maximum match as soon as u alone is taken out:
        then u is in every match of which v is part. This does not depend on any order. Neurons that are
        essential for each other, directly or by way of others, form a component.""",
}


def definitions(results: StudyResults) -> dict[str, str]:
    """Explain the terms of every report, and what this one has beside them, with references of measures."""
    known = [MEASURES[shown.name] for shown in shown_measures(results) if shown.name in MEASURES]
    terms = _DEFINITIONS | {_term(measure): f"{measure.definition} {measure.reference}." for measure in known}
    rows = results.measures
    for further, shown in (
        (_CENTRE, "mean" in study_centres(results)),
        (_NULL, any(row.p is not None for row in rows)),
        (_FAMILY, any(row.p_family is not None for row in rows)),
        (_ERROR, any(row.error is not None for row in rows)),
        (_HELD_OUT, any(row.held_out is not None for row in rows)),
        (_GROWTH, bool(results.growth)),
        (_COVER, bool(results.covers)),
        (_ESSENTIAL, bool(results.essential)),
    ):
        if shown:
            terms |= further
    items = results.terms.items
    return {term: " ".join(text.replace("{items}", items).split()) for term, text in terms.items()}
