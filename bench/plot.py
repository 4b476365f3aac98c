"""A line chart as SVG, without a library for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 130, 36, 44
_COLORS = ("#4c9a2a", "#1f6fb4", "#b8860b", "#9a3b3b")
_STEP = 0.05  # between lines of the grid


@dataclass(frozen=True, slots=True)
class Series:
    """Is one line with its name."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(series: Sequence[Series], *, title: str, across: str, mark: tuple[float, str]) -> str:
    """Returns the chart; the values are shares."""
    values = [value for line in series for _, value in line.points]
    low, high = int(min(values) / _STEP) * _STEP, (int(max(values) / _STEP) + 1) * _STEP
    first, last = 0.0, max(place for line in series for place, _ in line.points) + 1

    def place(x: float, y: float) -> tuple[float, float]:
        across_ = _LEFT + (x - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)
        return round(across_, 1), round(HEIGHT - _BOTTOM - (y - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{title}</text>',
    ]
    for number in range(round((high - low) / _STEP) + 1):
        x, y = place(first, low + number * _STEP)
        parts.append(f'<path d="M{x} {y}H{WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{low + number * _STEP:.0%}</text>')
    for day in range(0, int(last) + 1, 5):
        x, y = place(day, low)
        parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{day}</text>')
    x, y = place(mark[0], low)
    parts.append(f'<path d="M{x} {y}V{_TOP}" stroke="#888" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{x + 4}" y="{_TOP + 10}" fill="#555">{mark[1]}</text>')
    parts.append(f'<text x="{(WIDTH - _RIGHT + _LEFT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>')
    for line, color in zip(series, _COLORS, strict=False):
        points = " ".join(f"{x},{y}" for x, y in (place(*point) for point in line.points))
        x, y = place(*line.points[-1])
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 8}" y="{y + 4}" fill="{color}">{line.name}</text>')
    return "\n".join([*parts, "</svg>", ""])
