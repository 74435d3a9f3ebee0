"""The report: what was tested on what, how good it was, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.agent.report import plots
from federation.agent.report.markup import Markup, element, joined, raw, table, text
from federation.agent.report.plots import Shown
from federation.agent.report.style import STYLE
from models_ml.families import FAMILIES

_NAMES = {
    "macro_binary_f1": "macro-binary F1",
    "average_precision": "average precision",
    "auc": "area under ROC",
    "fpr_at_95_tpr": "false alarms at 95 % found",
    "recall_at_fpr_0.1pct": "found at 0.1 % false alarms",
}
SHOWN_TIMELINES = 8


@dataclass(frozen=True)
class Report:
    """Everything on the page.

    Attributes:
        models: one, or the model and the local one beside it.
        facts: of the model: hash, block, what it builds on.
        split: `Split.as_json()`.
        sources: `ReadReport.as_json()` of each file.
        warnings: what the reader must know before the figures.
        made: when, as text.
    """

    title: str
    made: str
    models: Sequence[Shown]
    facts: Sequence[tuple[str, str]]
    split: Mapping[str, Any]
    threshold_source: str
    sources: Sequence[Mapping[str, Any]]
    warnings: Sequence[str] = ()


def render(report: Report) -> str:
    """The page as HTML."""
    body = (
        element("header", element("h1", text(report.title)), element("p", text(f"{report.made}. {_tested(report)}"))),
        *(element("p", text(warning), class_="warning", role="note") for warning in report.warnings),
        _headlines(report),
        _section(
            "Curves",
            _plots(plots.detection_against_alarms(report.models), plots.precision_and_recall(report.models))
            if len(report.models[0].assessment.roc)
            else element("p", text("The test holds one class only: no curves.")),
        ),
        _section(
            "Families",
            _plots(plots.recall_by_family(report.models), _families(report)),
            *map(_confusion, report.models),
        ),
        _section("Scores", _plots(*map(plots.score_histogram, report.models)), _scores(report)),
        _section("Over time", _times_key(), _plots(*_timelines(report)), _times(report)),
        _section("What was tested on what", _split(report)),
        _section("The model", element("div", table("", ("fact", "value"), report.facts), class_="card facts")),
        _section("The files", _sources(report)),
        _section("How to read this", _reading(report)),
    )
    head = joined(
        (
            Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", text(report.title)),
            Markup(f"<style>{STYLE}</style>"),
        )
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{joined(body)}</body></html>\n'


def _section(title: str, *parts: Markup) -> Markup:
    return element("section", element("h2", text(title)), *parts)


def _plots(*parts: Markup) -> Markup:
    return element("div", *parts, class_="plots")


def _tested(report: Report) -> str:
    parts = report.split["parts"]["test"]
    records = sum(part["records"] for part in parts)
    return f"{records} records of {len(parts)} capture{'s' if len(parts) != 1 else ''}"


def _headlines(report: Report) -> Markup:
    first = report.models[0].assessment
    tiles = []
    for name, title in _NAMES.items():
        if name in first.figures:
            low, high = first.intervals.get(name, (None, None))
            sure = f"95 %: {low:.3f} to {high:.3f}" if low is not None else "no interval"
            tiles.append(
                element(
                    "div",
                    element("dt", text(title)),
                    element("dd", text(f"{first.figures[name]:.3f}"), element("small", text(sure))),
                )
            )
    rows = [
        (
            title,
            *(
                _with_interval(model.assessment.figures.get(name), model.assessment.intervals.get(name))
                for model in report.models
            ),
        )
        for name, title in _NAMES.items()
    ]
    beside = table("Figures with 95 % intervals", ("figure", *(model.label for model in report.models)), rows)
    return joined((element("dl", *tiles, class_="tiles"), _folded("All figures as a table", beside)))


def _with_interval(value: float | None, ends: tuple[float, float] | None) -> str:
    if value is None:
        return "not to be had"
    return f"{value:.4f}" + (f"  ({ends[0]:.4f} to {ends[1]:.4f})" if ends else "")


def _folded(title: str, *parts: Markup) -> Markup:
    return element("details", element("summary", text(title)), element("div", *parts))


def _families(report: Report) -> Markup:
    first = report.models[0].assessment.families
    rows = [(each.family, each.records, *(_recall(model, each.family) for model in report.models)) for each in first]
    columns = ("family", "records", *(model.label for model in report.models))
    return element(
        "div", table("Share decided rightly, with 95 % Wilson intervals", columns, rows), class_="card wrapped"
    )


def _recall(model: Shown, family: str) -> str:
    each = next(each for each in model.assessment.families if each.family == family)
    return f"{each.share:.4f} ({each.low:.4f} to {each.high:.4f})"


def _confusion(model: Shown) -> Markup:
    counts = model.assessment.confusion
    shown = [index for index in range(len(FAMILIES)) if counts[index].any() or counts[:, index].any()]
    rows = []
    for index in shown:
        total = int(counts[index].sum())
        cells = [_cell(int(counts[index, column]), total) for column in shown]
        rows.append((FAMILIES[index], *cells))
    caption = f"{model.label}: what it was (rows) and what the model said (columns); shaded by the share of the row"
    return element("div", table(caption, ("", *(FAMILIES[index] for index in shown)), rows), class_="card")


def _cell(number: int, total: int) -> str:
    share = number / total if total else 0.0
    return raw(element("span", text(number), class_="share", style=f"--share:{share:.3f}"))


def _scores(report: Report) -> Markup:
    tables = []
    for model in report.models:
        found = model.assessment
        edges = np.linspace(0, 1, len(found.benign_scores) + 1)
        rows = [
            (
                f"{edges[index]:.2f} to {edges[index + 1]:.2f}",
                int(found.benign_scores[index]),
                int(found.attack_scores[index]),
            )
            for index in range(len(found.benign_scores))
            if found.benign_scores[index] or found.attack_scores[index]
        ]
        tables.append(table(f"Records by score: {model.label}", ("score", "benign", "attacks"), rows))
    names = list(report.models[0].assessment.thresholds)
    limits = [(name, *(f"{model.assessment.thresholds[name]:.4f}" for model in report.models)) for name in names]
    columns = ("family", *(model.label for model in report.models))
    tables.append(table("Probability from which on a family is alarmed", columns, limits))
    return _folded("Scores and thresholds as tables", *tables)


def _times_key() -> Markup:
    keys = (
        ("first", "attack records found"),
        ("missed", "attack records missed"),
        ("wrong", "false alarms (downwards)"),
    )
    return element(
        "p",
        *(
            element("span", element("span", class_="key", style=f"background:var(--{tone})"), text(f"{said}   "))
            for tone, said in keys
        ),
        class_="note",
    )


def _timelines(report: Report) -> list[Markup]:
    lines = sorted(report.models[0].assessment.timelines, key=lambda line: -int(line.records.sum()))
    return [plots.timeline(line, report.models[0].tone) for line in lines[:SHOWN_TIMELINES]]


def _times(report: Report) -> Markup:
    rows = [
        (
            line.capture or "the file",
            int(line.records.sum()),
            int(line.attacks.sum()),
            int(line.found.sum()),
            int(line.false_alarms.sum()),
        )
        for line in report.models[0].assessment.timelines
    ]
    columns = ("capture", "records", "attacks", "found", "false alarms")
    return _folded("All captures as a table", table(report.models[0].label, columns, rows))


def _split(report: Report) -> Markup:
    rows = [
        (
            part["capture"] or "the file",
            use,
            part["records"],
            f"{part['from']} to {part['to']}",
            ", ".join(f"{name} {number}" for name, number in part["families"].items()) or "unlabelled",
        )
        for use, parts in report.split["parts"].items()
        for part in parts
    ]
    how = element("p", text(f"Split: {report.split['how']}. Thresholds: {report.threshold_source}."))
    columns = ("capture", "use", "records", "time (UTC)", "families")
    return joined((how, element("div", table("Records by capture and use", columns, rows), class_="card words")))


def _sources(report: Report) -> Markup:
    rows = [
        (
            source["source"],
            source["format"],
            source["records"],
            source["malformed"],
            ", ".join(f"{name} {number}" for name, number in source["skipped"].items()) or "none",
        )
        for source in report.sources
    ]
    columns = ("file", "format", "records", "bad lines", "other lines left out")
    return element("div", table("Files read", columns, rows), class_="card words")


def _reading(report: Report) -> Markup:
    return element(
        "p",
        text(
            "Intervals of the headline figures come from drawing whole stretches of time (twentieths of each capture) "
            "with replacement, since neighbouring flows belong together; they do not tell how the model does on "
            "networks unlike the tested ones. Wilson intervals of families hold for independent flows and are rather "
            "too narrow. A flow below every threshold counts as benign. Nothing was split at random."
        ),
        class_="note",
    )
