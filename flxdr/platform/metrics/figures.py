"""Figures that are read where the truth is, from the database or the machine, when somebody asks for them.

A part of the system says which figures it has and how to read them; every read is bounded. A part that cannot be read
takes nothing from the others' figures: `flxdr_source_up` says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from prometheus_client.core import GaugeMetricFamily

_log = structlog.get_logger("flxdr.metrics")


@dataclass(frozen=True)
class Figure:
    """A gauge.

    Attributes:
        name: with its unit, as Prometheus names metrics.
        help: one line for whoever reads the metric.
        labels: names, each of which takes few values.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def at(self, value: float, *labels: str) -> Sample:
        """The figure's value, of what the labels' values say."""
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {len(labels)}")
        return Sample(self, value, labels)


class Sample(NamedTuple):
    """A figure's value."""

    figure: Figure
    value: float
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A part of the system that has figures.

    Attributes:
        read: gives the samples; a figure of which nothing is known has none.
    """

    name: str
    figures: Sequence[Figure]
    read: Callable[[], Iterable[Sample]]


UP = Figure("flxdr_source_up", "1 if the figures of this source could be read, else 0.", ("source",))
SECONDS = Figure("flxdr_source_seconds", "How long reading the figures of this source took.", ("source",))
_sources: dict[str, Source] = {}


def register_source(source: Source) -> None:
    """Let `/metrics` tell the figures of a part; apps call this in `ready()`."""
    _sources[source.name] = source


def sources() -> Sequence[Source]:
    """The registered parts."""
    return list(_sources.values())


class StoredFigures:
    """Collector of what the registered sources read."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        about: list[Sample] = []
        for source in sources():
            began = time.monotonic()
            try:
                samples = list(source.read())
            except Exception as error:  # noqa: BLE001 - whatever it is, the other sources are read
                _log.warning("figures not read", source=source.name, reason=f"{type(error).__name__}: {error}")
                samples = []
                about.append(UP.at(0, source.name))
            else:
                about.append(UP.at(1, source.name))
            about.append(SECONDS.at(time.monotonic() - began, source.name))
            yield from _families(source.figures, samples)
        yield from _families((UP, SECONDS), about)


def _families(figures: Sequence[Figure], samples: Sequence[Sample]) -> Iterator[GaugeMetricFamily]:
    families = {figure: GaugeMetricFamily(figure.name, figure.help, labels=figure.labels) for figure in figures}
    for figure, value, labels in samples:
        families[figure].add_metric(labels, value)
    yield from families.values()
