"""Curves through planned points: monotone between them, with noise that cannot cross a bound."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from random import Random

Knot = tuple[float, float]


class Curve:
    """The monotone piecewise cubic through `knots`, (position, value) by rising position.

    Between two knots it stays between their values; at a local extreme among the knots its slope is zero.
    Slopes are the weighted harmonic means of Fritsch and Butland (1984).
    """

    def __init__(self, knots: Sequence[Knot]) -> None:
        self.x = [x for x, _ in knots]
        self.y = [y for _, y in knots]
        if any(b <= a for a, b in zip(self.x, self.x[1:], strict=False)):
            raise ValueError(f"positions of knots must rise: {self.x}")
        self._slopes = self._harmonic_slopes()

    def _harmonic_slopes(self) -> list[float]:
        steps = [b - a for a, b in zip(self.x, self.x[1:], strict=False)]
        rises = [(b - a) / h for a, b, h in zip(self.y, self.y[1:], steps, strict=False)]
        slopes = [0.0]
        for i in range(1, len(rises)):
            before, after = rises[i - 1], rises[i]
            if before * after <= 0:
                slopes.append(0.0)
                continue
            w_before = 2 * steps[i] + steps[i - 1]
            w_after = steps[i] + 2 * steps[i - 1]
            slopes.append((w_before + w_after) / (w_before / before + w_after / after))
        return [*slopes, 0.0]

    def __call__(self, x: float) -> float:
        """The value at `x`; that of the nearest end outside."""
        if x <= self.x[0]:
            return self.y[0]
        if x >= self.x[-1]:
            return self.y[-1]
        i = bisect_right(self.x, x) - 1
        h = self.x[i + 1] - self.x[i]
        t = (x - self.x[i]) / h
        y = (
            (1 + 2 * t) * (1 - t) ** 2 * self.y[i]
            + t * (1 - t) ** 2 * h * self._slopes[i]
            + t * t * (3 - 2 * t) * self.y[i + 1]
            + t * t * (t - 1) * h * self._slopes[i + 1]
        )
        low, high = sorted((self.y[i], self.y[i + 1]))
        return min(max(y, low), high)


class Sampler:
    """Samples of a curve as a device reports them: noisy, rounded, and on the curve's side of each bound."""

    def __init__(
        self, curve: Curve, bounds: Sequence[float], floor: float, noise: float, decimals: int
    ) -> None:
        """`floor` is the least possible value; `noise` the largest deviation; `decimals` what is reported."""
        self._curve = curve
        self._edges = sorted({floor, *bounds})
        self._exact = dict(zip(curve.x, curve.y, strict=True))
        self._noise, self._decimals, self._step = noise, decimals, 10.0**-decimals

    def __call__(self, x: float, random: Random) -> float:
        """The reading at `x`. A knot is reported as it was planned."""
        jitter = 2 * random.random() - 1
        if x in self._exact:
            return round(self._exact[x], self._decimals)
        y = self._curve(x)
        i = bisect_right(self._edges, y)
        low = self._edges[i - 1] if i > 0 else y
        high = self._edges[i] if i < len(self._edges) else y + 10 * self._noise + 1
        at_floor = i <= 1
        # Less than half of the way to the nearest bound, and a step of rounding clear of it.
        room = high - y if at_floor else min(y - low, high - y)
        y += jitter * min(self._noise, 0.4 * room)
        least = low if at_floor else low + self._step
        return round(min(max(y, least), high - self._step), self._decimals)
