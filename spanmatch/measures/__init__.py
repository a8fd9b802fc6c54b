"""Measures of how alike two layers are: the maximum match, and others that the same statistic gives."""

from spanmatch.measures.measure import PASSES, Evidence, Measure, Need, evaluate
from spanmatch.measures.registry import MEASURES, measure_named, register

__all__ = ["MEASURES", "PASSES", "Evidence", "Measure", "Need", "evaluate", "measure_named", "register"]
