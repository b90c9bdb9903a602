"""Medians, percentiles, ratios with their uncertainty, and tables of them; pure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

_SEED = 1  # the same figures give the same interval
_RESAMPLES = 10_000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure, and the interval that holds it with a confidence of 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that `percent` percent of them do not exceed.

    Raises
    ------
    ValueError
        If there are no values, or `percent` is not from 0 to 100.
    """
    if not values or not 0 <= percent <= 100:
        raise ValueError("a percentile is from 0 to 100, of one value or more")
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


def ratio_of_medians(
    ours: Sequence[float], theirs: Sequence[float], resamples: int = _RESAMPLES
) -> Estimate:
    """Median of `ours` by median of `theirs`, with a bootstrap interval.

    Parameters
    ----------
    ours, theirs : sequence of float
        Pairs: what was measured one after the other stands at the same place, and is
        drawn together, so that a machine that was slow for both is no difference.
    resamples : int
        How often pairs are drawn.

    Raises
    ------
    ValueError
        If there are no pairs.
    """
    return _bootstrap(lambda one, other: median(one) / median(other), ours, theirs, resamples)


def difference_of_medians(
    ours: Sequence[float], theirs: Sequence[float], resamples: int = _RESAMPLES
) -> Estimate:
    """Median of `ours` less median of `theirs`; see `ratio_of_medians`."""
    return _bootstrap(lambda one, other: median(one) - median(other), ours, theirs, resamples)


def _bootstrap(
    figure: Callable[[Sequence[float], Sequence[float]], float],
    ours: Sequence[float],
    theirs: Sequence[float],
    resamples: int,
) -> Estimate:
    """Percentile bootstrap over pairs.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    pairs = list(zip(ours, theirs, strict=True))
    if not pairs:
        raise ValueError("there are no pairs to compare")
    chance = random.Random(_SEED)  # noqa: S311 -- statistics, no secret
    drawn = []
    for _ in range(resamples):
        sample = chance.choices(pairs, k=len(pairs))
        drawn.append(figure([one for one, _ in sample], [other for _, other in sample]))
    tail = (1 - _CONFIDENCE) / 2 * 100
    return Estimate(
        figure([one for one, _ in pairs], [other for _, other in pairs]),
        percentile(drawn, tail),
        percentile(drawn, 100 - tail),
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns, good to read as it is."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in [lines[0], rule, *lines[1:]]
    )
