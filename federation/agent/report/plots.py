"""Plots of an assessment, drawn as SVG. Each carries a title and a description for those who do not see it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from federation.agent.report.markup import Markup, element, joined, text
from models_ml.assessment import Assessment, FamilyRecall, Timeline

WIDTH, HEIGHT = 560, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 14, 44
_LOWEST_RATE = 1e-4
_ALARM = 0.5


@dataclass(frozen=True)
class Shown:
    """A model in the report: its name there, and its place in the order of colours (0 or 1)."""

    label: str
    assessment: Assessment
    place: int

    @property
    def tone(self) -> str:
        return f"model{self.place}"


@dataclass(frozen=True)
class _Frame:
    """Where values stand in the picture: both axes map to 0 .. 1 first."""

    x: Callable[[float], float]
    y: Callable[[float], float]
    height: int = HEIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        across, up = self.x(x), self.y(y)
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), self.height - _BOTTOM - up * (self.height - _TOP - _BOTTOM)

    def line(self, points: npt.NDArray[np.float64], tone: str) -> Markup:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*row) for row in points))
        return element("polyline", points=places, class_=f"curve {tone}")


def detection_against_alarms(models: Sequence[Shown]) -> Markup:
    """ROC curves; the axis of false alarms is logarithmic, since what matters happens below one in a hundred."""
    frame = _Frame(_log_rate, _same)
    ticks = [(rate, f"{rate:g}") for rate in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)]
    said = "; ".join(f"{model.label}: area {model.assessment.figures.get('auc', math.nan):.4f}" for model in models)
    return _picture(
        "Attacks found against false alarms (ROC)",
        f"Share of attacks found over the share of benign flows alarmed, from 0.0001 to 1, logarithmic. {said}.",
        _axes(frame, ticks, _tenths(), "benign flows alarmed", "attacks found"),
        *(frame.line(model.assessment.roc, model.tone) for model in models),
        _legend(models, left=False),
    )


def precision_and_recall(models: Sequence[Shown]) -> Markup:
    frame = _Frame(_same, _same)
    said = "; ".join(
        f"{model.label}: average precision {model.assessment.figures.get('average_precision', math.nan):.4f}"
        for model in models
    )
    return _picture(
        "Precision and recall",
        f"Share of alarms that are attacks over the share of attacks found. {said}.",
        _axes(frame, _tenths(), _tenths(), "attacks found (recall)", "alarms that are attacks (precision)"),
        *(frame.line(model.assessment.precision_recall, model.tone) for model in models),
        _legend(models, left=True),
    )


def score_histogram(model: Shown) -> Markup:
    """Benign records upwards, attacks downwards, on logarithmic counts; the threshold as a line across."""
    found = model.assessment
    highest = max(int(found.benign_scores.max()), int(found.attack_scores.max()), 10)
    reach = math.log10(highest + 1)
    frame = _Frame(_same, lambda signed: 0.5 + 0.48 * math.copysign(math.log10(abs(signed) + 1) / reach, signed))
    bins = len(found.benign_scores)
    bars = []
    for index in range(bins):
        for number, sign, tone in (
            (int(found.benign_scores[index]), 1, "benign"),
            (int(found.attack_scores[index]), -1, model.tone),
        ):
            if number:
                left, end = frame.at(index / bins, sign * number)
                right, middle = frame.at((index + 1) / bins, 0)
                bars.append(
                    _bar((left + 0.5, min(end, middle), right - left - 1, abs(end - middle)), tone, f"{number} records")
                )
    powers = [10**power for power in range(int(reach) + 1)]
    ticks = [(sign * value, f"{value:g}") for value in powers for sign in (1, -1)]
    threshold, _ = frame.at(_ALARM, highest)
    return _picture(
        f"Scores of {model.label}",
        "Benign records upwards, attacks downwards, by calibrated score; alarms begin at 0.5.",
        _axes(frame, _tenths(), ticks, "calibrated score", "records (log): attacks below, benign above"),
        *bars,
        element("line", x1=f"{threshold:.1f}", x2=f"{threshold:.1f}", y1=_TOP, y2=HEIGHT - _BOTTOM, class_="threshold"),
    )


def recall_by_family(models: Sequence[Shown]) -> Markup:
    """A dot for each family and model, with the 95 % Wilson interval as a line."""
    names = list(dict.fromkeys(each.family for model in models for each in model.assessment.families))
    row = 34
    height = _TOP + _BOTTOM + row * len(names)
    frame = _Frame(lambda share: 0.14 + 0.86 * share, _same, height)
    parts = [
        joined(
            (
                _vertical(frame.at(share, 0)[0], height),
                _label(frame.at(share, 0)[0], height - _BOTTOM + 18, f"{share:g}", "middle"),
            )
        )
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for index, name in enumerate(names):
        middle = _TOP + row * (index + 0.5)
        parts.append(_label(frame.at(0, 0)[0] - 12, middle + 4, name, "end"))
        for model in models:
            for each in model.assessment.families:
                if each.family == name:
                    y = middle + (model.place - (len(models) - 1) / 2) * 11
                    parts.append(_whisker(frame, each, y, model))
    return _picture(
        "Recall by family",
        "Share of each family's records that count as attacks (Benign: as benign), with 95 % Wilson intervals.",
        *parts,
        _label(frame.at(0.5, 0)[0], height - 8, "share decided rightly", "middle"),
        height=height,
    )


def timeline(line: Timeline, tone: str) -> Markup:
    """Attacks found and missed upwards, false alarms downwards, in equal stretches of a capture's time."""
    height = 170
    up = max(int(line.attacks.max()), 1)
    down = max(int(line.false_alarms.max()), up // 8, 1)
    zero_at = down / (up + down)
    frame = _Frame(_same, lambda signed: zero_at + signed / (up + down), height)
    bins = len(line.attacks)
    bars = []
    for index in range(bins):
        left, middle = frame.at(index / bins, 0)
        width = frame.at((index + 1) / bins, 0)[0] - left - 0.6
        found, missed = int(line.found[index]), int(line.attacks[index] - line.found[index])
        wrong = int(line.false_alarms[index])
        base = frame.at(0, found)[1]
        end = frame.at(0, found + missed)[1]
        if found:
            bars.append(_bar((left, base, width, middle - base), tone, f"{found} attack records found"))
        if missed:
            bars.append(_bar((left, end, width, base - end), "missed", f"{missed} attack records missed"))
        if wrong:
            bars.append(_bar((left, middle, width, frame.at(0, -wrong)[1] - middle), "wrong", f"{wrong} false alarms"))
    zero = frame.at(0, 0)[1]
    return _picture(
        f"Alarms over time: {line.capture or 'the file'}",
        f"{int(line.attacks.sum())} attack records, {int(line.found.sum())} of them alarmed; "
        f"{int(line.false_alarms.sum())} false alarms among {int(line.records.sum())} records.",
        element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=f"{zero:.1f}", y2=f"{zero:.1f}", class_="axis"),
        *bars,
        _label(_LEFT - 8, frame.at(0, up)[1] + 8, str(up), "end"),
        _label(_LEFT - 8, zero + 4, "0", "end"),
        _label(_LEFT - 8, frame.at(0, -down)[1] + 2, str(down), "end")
        if frame.at(0, -down)[1] > zero + 16
        else Markup(""),
        _label(_LEFT, height - 22, _span(line.start), "start"),
        _label(WIDTH - _RIGHT, height - 22, _span(line.end), "end"),
        height=height - 14,
    )


def _span(seconds: float) -> str:
    stamp = np.datetime64(int(seconds), "s") if seconds < 2**36 else None
    return str(stamp).replace("T", " ") if stamp is not None else f"{seconds:.0f} s"


def _picture(title: str, described: str, *parts: Markup, height: int = HEIGHT) -> Markup:
    number = f"{crc32(title.encode(errors='surrogateescape')):08x}"  # titles differ within a page
    drawing = element(
        "svg",
        element("title", text(title), id=f"t{number}"),
        element("desc", text(described), id=f"d{number}"),
        *parts,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_labelledby=f"t{number} d{number}",
    )
    heading = element("h3", text(title))
    return element("figure", heading, drawing, element("figcaption", text(described)))


def _axes(
    frame: _Frame,
    across: Sequence[tuple[float, str]],
    upwards: Sequence[tuple[float, str]],
    name_x: str,
    name_y: str,
) -> Markup:
    bottom = HEIGHT - _BOTTOM
    parts = []
    for value, label in across:
        x = frame.at(value, 0)[0]
        parts += [_vertical(x, HEIGHT), _label(x, bottom + 18, label, "middle")]
    for value, label in upwards:
        y = frame.at(0, value)[1]
        parts += [
            element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"),
            _label(_LEFT - 8, y + 4, label, "end"),
        ]
    middle = (_TOP + bottom) / 2
    return joined(
        (
            *parts,
            _label((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, name_x, "middle"),
            element(
                "text", text(name_y), x=13, y=middle, text_anchor="middle", transform=f"rotate(-90 13 {middle:.1f})"
            ),
        )
    )


def _legend(models: Sequence[Shown], *, left: bool) -> Markup:
    x = _LEFT + 14 if left else WIDTH - _RIGHT - 230
    parts = []
    for row, model in enumerate(models):
        y = HEIGHT - _BOTTOM - 16 - 18 * (len(models) - 1 - row)
        parts += [
            element("line", x1=x, x2=x + 22, y1=y - 4, y2=y - 4, class_=f"curve {model.tone}"),
            _label(x + 30, y, model.label, "start"),
        ]
    return joined(parts)


def _whisker(frame: _Frame, each: FamilyRecall, y: float, model: Shown) -> Markup:
    left, right, centre = (frame.at(value, 0)[0] for value in (each.low, each.high, each.share))
    said = f"{model.label}: {each.share:.3f} ({each.low:.3f} to {each.high:.3f}) of {each.records}"
    return joined(
        (
            element(
                "line", x1=f"{left:.1f}", x2=f"{right:.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}", class_=f"curve {model.tone}"
            ),
            element(
                "circle",
                element("title", text(said)),
                cx=f"{centre:.1f}",
                cy=f"{y:.1f}",
                r="4.5",
                class_=f"dot {model.tone}",
            ),
        )
    )


def _bar(box: tuple[float, float, float, float], tone: str, said: str) -> Markup:
    """A bar from its left end, top, width and height."""
    x, y, width, height = box
    return element(
        "rect",
        element("title", text(said)),
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{width:.1f}",
        height=f"{max(height, 0.5):.1f}",
        class_=f"bar {tone}",
    )


def _vertical(x: float, height: int) -> Markup:
    return element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=_TOP, y2=height - _BOTTOM, class_="grid")


def _label(x: float, y: float, said: str, anchor: str) -> Markup:
    return element("text", text(said), x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _tenths() -> list[tuple[float, str]]:
    return [(value, f"{value:g}") for value in (0.0, 0.25, 0.5, 0.75, 1.0)]


def _same(value: float) -> float:
    return value


def _log_rate(value: float) -> float:
    return 1 - math.log10(max(value, _LOWEST_RATE)) / math.log10(_LOWEST_RATE)
