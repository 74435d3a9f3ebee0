"""Every metric that the product declares: what the documentation and the dashboards are held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flxdr.platform.metrics import figures, requests, task_runs  # noqa: F401 - the last two declare when imported
from flxdr.platform.metrics.processes import INSTRUMENTS, MACHINE, OF_TASKS


@dataclass(frozen=True)
class Declared:
    """A metric.

    Attributes:
        name: as an expression asks for it.
        series: the names that its samples have.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    series: frozenset[str]


def declared() -> Iterator[Declared]:
    """Figures first, source by source, then what processes count."""
    about = (figures.UP, figures.SECONDS)
    for figure in (*(each for source in figures.sources() for each in source.figures), *about):
        yield Declared(figure.name, "gauge", figure.labels, figure.help, frozenset({figure.name}))
    for instrument in INSTRUMENTS._collector_to_names:
        yield _counted(instrument)


def _counted(instrument: object) -> Declared:
    name, kind = str(instrument._name), str(instrument._type)  # type: ignore[attr-defined]
    labels = tuple(instrument._labelnames)  # type: ignore[attr-defined]
    if name.startswith(OF_TASKS):
        labels = (*labels, MACHINE)
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[kind]
    shown = name + ("_total" if kind == "counter" else "")
    return Declared(shown, kind, labels, str(instrument._documentation), frozenset(name + each for each in suffixes))  # type: ignore[attr-defined]
