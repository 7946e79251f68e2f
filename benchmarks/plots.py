"""Bar and line plots as SVG text: enough for the pages, without a plotting library."""

from __future__ import annotations

import math
from html import escape

COLOURS = ("#20639b", "#f6a03d", "#3caea3", "#a63d40")
_WIDTH, _LEFT, _TOP, _PLOT_HEIGHT, _FOOT = 760, 64, 64, 220, 64


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ticks(top: float) -> list[float]:
    """Round values from 0 to at least ``top``, four to eight of them."""
    step = 10 ** math.floor(math.log10(top / 4))
    step = next(step * factor for factor in (1, 2, 5, 10) if top / (step * factor) <= 7)
    return [step * k for k in range(math.ceil(top / step) + 1)]


class _Canvas:
    """Elements of a plot with a title, a legend and a y axis from 0 to at least ``top``."""

    def __init__(self, title: str, unit: str, series: list[str], top: float):
        self.elements: list[str] = []
        ticks = _ticks(top)
        self.scale = _PLOT_HEIGHT / ticks[-1]
        self.text(12, 20, title, size=15, anchor="start")
        self.text(12, 40, unit, anchor="start")
        for k, name in enumerate(series):
            x = _LEFT + 120 + k * 190
            self.elements.append(f'<rect x="{x}" y="30" width="12" height="12" fill="{COLOURS[k]}"/>')
            self.text(x + 18, 40, name, anchor="start")
        for tick in ticks:
            y = self.y(tick)
            self.elements.append(
                f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - 12}" y2="{y:.1f}" stroke="#ccc"/>'
            )
            self.text(_LEFT - 8, y + 4, _number(tick), anchor="end")

    def y(self, value: float) -> float:
        return _TOP + _PLOT_HEIGHT - value * self.scale

    def text(self, x: float, y: float, text: str, size: int = 12, anchor: str = "middle") -> None:
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def svg(self) -> str:
        height = _TOP + _PLOT_HEIGHT + _FOOT
        body = "\n".join(self.elements)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'font-family="sans-serif" fill="#222">\n'
            f'<rect width="{_WIDTH}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
        )


def _labels(canvas: _Canvas, names: list[str]) -> list[float]:
    """Writes the names below the x axis, long ones in two rows; gives the middle of each."""
    step = (_WIDTH - 12 - _LEFT) / len(names)
    longest = max(map(len, names))
    for k, name in enumerate(names):
        row = k % 2 if longest * 7 > step else 0
        canvas.text(_LEFT + (k + 0.5) * step, _TOP + _PLOT_HEIGHT + 18 + 16 * row, name)
    return [_LEFT + (k + 0.5) * step for k in range(len(names))]


def bars(title: str, unit: str, names: list[str], series: dict[str, list[float]]) -> str:
    """Groups of bars: one group a name, one bar a series, each with its value above it."""
    canvas = _Canvas(title, unit, list(series), max(max(values) for values in series.values()))
    middles = _labels(canvas, names)
    width = 0.8 * (_WIDTH - 12 - _LEFT) / len(names) / len(series)
    for k, values in enumerate(series.values()):
        for middle, value in zip(middles, values, strict=True):
            x = middle + (k - len(series) / 2) * width
            canvas.elements.append(
                f'<rect x="{x:.1f}" y="{canvas.y(value):.1f}" width="{width:.1f}" '
                f'height="{value * canvas.scale:.1f}" fill="{COLOURS[k]}"/>'
            )
            if width > 16:
                canvas.text(x + width / 2, canvas.y(value) - 4, _number(value), size=10)
    return canvas.svg()


def lines(title: str, unit: str, names: list[str], series: dict[str, list[float]]) -> str:
    """One line a series through equally spaced points, one a name."""
    canvas = _Canvas(title, unit, list(series), max(max(values) for values in series.values()))
    middles = _labels(canvas, names)
    for k, values in enumerate(series.values()):
        points = [(x, canvas.y(value)) for x, value in zip(middles, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        canvas.elements.append(
            f'<polyline points="{path}" fill="none" stroke="{COLOURS[k]}" stroke-width="2"/>'
        )
        for (x, y), value in zip(points, values, strict=True):
            canvas.elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[k]}"/>')
            canvas.text(x, y - 9, _number(value), size=10)
    return canvas.svg()
