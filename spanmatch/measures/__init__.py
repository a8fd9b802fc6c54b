"""Measures of the similarity of two layers: the maximum match, and others from the same statistic."""

from spanmatch.measures.measure import PASSES, Evidence, Measure, Need, evaluate, undefined_reason
from spanmatch.measures.registry import MEASURES, measure_named, register

__all__ = [
    "MEASURES",
    "PASSES",
    "Evidence",
    "Measure",
    "Need",
    "evaluate",
    "measure_named",
    "register",
    "undefined_reason",
]
