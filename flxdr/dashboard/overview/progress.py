"""How the models come on: a metric by release, its change to the release before, and how far each update moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from federation.selectors.overview import RoundMetrics, metrics_by_round, released_models
from flxdr.dashboard.charts.timeline import COLOURS, Series, timeline

METRICS = ("macro_binary_f1", "accuracy", "loss")
"""What a model is judged by: the first of them that its participants report."""


@dataclass(frozen=True)
class ModelProgress:
    """A model's newest release; `delta` and `moved` are the changes to the release before."""

    model_name: str
    newest: RoundMetrics
    metric: str
    value: float | None
    delta: float | None
    moved: float | None


@dataclass(frozen=True)
class Progress:
    """The newest release of every model, and the chart of the metric that most of them share."""

    models: Sequence[ModelProgress]
    chart: SafeString | None
    metric: str


def read_progress() -> Progress:
    """Read it; one query a model, and the registry has few."""
    histories = {name: metrics_by_round(name) for name in released_models()}
    models = [_newest(name, history) for name, history in histories.items()]
    shared = next((metric for metric in METRICS if any(model.metric == metric for model in models)), "")
    return Progress(models, _chart(histories, shared), shared)


def _newest(name: str, history: Sequence[RoundMetrics]) -> ModelProgress:
    last = history[-1]
    before = history[-2] if len(history) > 1 else None
    metric = next((metric for metric in METRICS if metric in last.metrics), "")
    return ModelProgress(
        model_name=name,
        newest=last,
        metric=metric,
        value=last.metrics.get(metric),
        delta=None if before is None else _change(before.metrics.get(metric), last.metrics.get(metric)),
        moved=None if before is None else _change(before.convergence, last.convergence),
    )


def _change(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _chart(histories: Mapping[str, Sequence[RoundMetrics]], metric: str) -> SafeString | None:
    """One line a model: at every moment the metric of its newest release by then."""
    told = {name: [each for each in history if metric in each.metrics] for name, history in histories.items()}
    told = dict([item for item in told.items() if item[1]][:COLOURS])
    moments = sorted({each.at for history in told.values() for each in history})
    if not moments:
        return None
    series = []
    for name, history in told.items():
        by_moment = {each.at: each.metrics[metric] for each in history}
        values: list[float | None] = []
        for moment in moments:
            values.append(by_moment.get(moment, values[-1] if values else None))
        series.append(Series(name, values))
    title = _("%(metric)s of every model's newest release, as its participants reported it") % {"metric": metric}
    return timeline(moments, series, title=title)
