"""Measures of the similarity of two layers: the maximum match, and others from the same statistic."""

from spanmatch.errors import UndefinedMeasureError
from spanmatch.measures.measure import (
    PASSES,
    Evidence,
    Measure,
    Need,
    evaluate,
    evaluate_held_out,
    undefined_reason,
)
from spanmatch.measures.registry import MEASURES, listed, measure_named, register

__all__ = [
    "MEASURES",
    "PASSES",
    "Evidence",
    "Measure",
    "Need",
    "UndefinedMeasureError",
    "evaluate",
    "evaluate_held_out",
    "listed",
    "measure_named",
    "register",
    "undefined_reason",
]
