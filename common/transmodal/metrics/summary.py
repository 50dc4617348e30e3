"""From scores per case and method to the numbers that are reported: mean ± SD, median, worst case, and who beats whom.

A value that is not finite never enters a statistic; how many were left out shows in ``n``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from transmodal.metrics.synthrad import Measure

__all__ = ["CaseScores", "format_table", "summarise", "unbeaten_baselines"]


class CaseScores(NamedTuple):
    """The numbers of one method (the model or a baseline) on one case, by measure; absent or NaN where undefined."""

    case: str
    method: str
    values: Mapping[str, float]


def summarise(rows: Sequence[CaseScores], measures: Mapping[str, Measure]) -> dict[str, dict[str, dict[str, Any]]]:
    """Statistics of each method and measure, methods in order of appearance.

    Returns:
        ``summary[method][measure]`` with ``mean``, ``sd`` (sample standard deviation), ``median``, ``worst``,
        ``worst_case`` and ``n``; None where there are too few values.
    """
    methods = dict.fromkeys(row.method for row in rows)
    return {
        method: {name: _statistics(_finite(rows, method, name), measure) for name, measure in measures.items()}
        for method in methods
    }


def unbeaten_baselines(rows: Sequence[CaseScores], measures: Mapping[str, Measure], model: str) -> list[str]:
    """A sentence for each baseline that the model does not beat, with the measures whose means are not better.

    A measure is compared over the cases in which both have a value.
    """
    sentences = []
    for baseline in dict.fromkeys(row.method for row in rows if row.method != model):
        lost = []
        for name, measure in measures.items():
            ours, theirs = _finite(rows, model, name), _finite(rows, baseline, name)
            cases = ours.keys() & theirs.keys()
            if not cases:
                continue
            mean, other = (statistics.fmean(scores[case] for case in cases) for scores in (ours, theirs))
            if not (mean > other if measure.higher_is_better else mean < other):
                lost.append(f"{name} ({mean:.4g} against {other:.4g}{' ' * bool(measure.unit)}{measure.unit})")
        if lost:
            sentences.append(f"{model} does not beat {baseline!r} in {', '.join(lost)}")
    return sentences


def format_table(summary: Mapping[str, Mapping[str, Mapping[str, Any]]], measures: Mapping[str, Measure]) -> str:
    """The summary as lines of text: a row per method, mean ± SD per measure."""
    head = ["method", *(f"{name} ({measure.unit})" if measure.unit else name for name, measure in measures.items())]
    body = [[method, *(_mean_and_sd(stats[name]) for name in measures)] for method, stats in summary.items()]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [head, *body]]
    return "\n".join(line.rstrip() for line in lines)


def _finite(rows: Sequence[CaseScores], method: str, name: str) -> dict[str, float]:
    values = {row.case: row.values.get(name, math.nan) for row in rows if row.method == method}
    return {case: value for case, value in values.items() if math.isfinite(value)}


def _statistics(scores: Mapping[str, float], measure: Measure) -> dict[str, Any]:
    if not scores:
        return {"mean": None, "sd": None, "median": None, "worst": None, "worst_case": None, "n": 0}
    worst_case = (min if measure.higher_is_better else max)(scores, key=scores.__getitem__)
    return {
        "mean": statistics.fmean(scores.values()),
        "sd": statistics.stdev(scores.values()) if len(scores) > 1 else None,
        "median": statistics.median(scores.values()),
        "worst": scores[worst_case],
        "worst_case": worst_case,
        "n": len(scores),
    }


def _mean_and_sd(stats: Mapping[str, Any]) -> str:
    """Both with the same decimals: three significant digits of the mean, but one decimal at least."""
    mean, sd = stats["mean"], stats["sd"]
    if mean is None:
        return "undefined"
    decimals = 3 if abs(mean) < 1 else 2 if abs(mean) < 10 else 1
    return f"{mean:.{decimals}f}" + ("" if sd is None else f" ± {sd:.{decimals}f}")
