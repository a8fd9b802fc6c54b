"""Definitions of the terms of a report; those of measures are the registry's."""

from spanmatch.measures import MEASURES, Measure
from spanmatch.reporting.measure_figure import shown_measures
from spanmatch.reporting.results import StudyResults

__all__ = ["definitions"]


def _term(measure: Measure) -> str:
    return measure.label[0].upper() + measure.label[1:]


_MAXIMUM_MATCH = MEASURES["maximum-match"]

_DEFINITIONS = {
    "What is compared": """
        Two networks, or one network at two moments of its training, see the same images in the same order. A
        neuron is a unit of a fully connected layer or a channel of a convolutional one, and is described by
        its activations over all samples: images, or every position of every image.""",
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


def definitions(results: StudyResults) -> dict[str, str]:
    """Explain the terms of every report, and the measures of this one, with their references."""
    known = [MEASURES[shown.name] for shown in shown_measures(results) if shown.name in MEASURES]
    terms = _DEFINITIONS | {_term(measure): f"{measure.definition} {measure.reference}." for measure in known}
    return {term: " ".join(text.split()) for term, text in terms.items()}
