"""Two versions beside each other: their metrics, every tensor's distance, and what their rounds did differently."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from federation.models import ModelVersion
from federation.round_config import RoundConfig
from federation.selectors.catalogue import version_named
from federation.services.model_versions import load
from flxdr.platform.errors import BlobDamaged, BlobMissing
from models_ml.codec import Int32, ModelSchema
from models_ml.fixed_point import SCALE

MOST_VALUES = 10_000_000
"""Of a model whose files a page reads: beyond, a request would take seconds and hundreds of megabytes."""
_ROUTINE = ("chain_id", "round_id", "round_number", "deadline", "model_schema", "parent_hash", "parent_version")


@dataclass(frozen=True)
class TensorDistance:
    """A tensor in both: L2 norms in model units. `distance` is None where it is in one alone, or of another shape."""

    name: str
    shapes: tuple[str, str]
    norm: float | None
    distance: float | None

    @property
    def relative(self) -> float | None:
        """The distance as a part of the first one's norm."""
        return self.distance / self.norm if self.distance is not None and self.norm else None


@dataclass(frozen=True)
class MetricDelta:
    """A metric in both; None where a version's round did not report it."""

    name: str
    a: float | None
    b: float | None

    @property
    def delta(self) -> float | None:
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True)
class ConfigDifference:
    """A field that the two rounds' configurations state differently."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Comparison:
    """Two versions; `problem` says why nothing is compared, or why the tensors are not."""

    asked: tuple[str, str]
    a: ModelVersion | None
    b: ModelVersion | None
    metrics: Sequence[MetricDelta]
    tensors: Sequence[TensorDistance]
    distance: float | None
    configuration: Sequence[ConfigDifference]
    problem: str

    @property
    def versions(self) -> Sequence[ModelVersion | None]:
        return self.a, self.b


def read_comparison(first: str, second: str) -> Comparison:
    """Compare what two texts name, each a hash or `model:number`."""
    asked = (first, second)
    a, b = (version_named(text) if text else None for text in asked)
    missing = [text for text, version in zip(asked, (a, b), strict=True) if text and version is None]
    if a is None or b is None:
        problem = _("There is no version %(names)s.") % {"names": ", ".join(missing)} if missing else ""
        return Comparison(asked, a, b, [], [], None, [], problem)
    tensors, problem = _tensors(a, b)
    distances = [each.distance for each in tensors]
    known = [value for value in distances if value is not None]
    return Comparison(
        asked=asked,
        a=a,
        b=b,
        metrics=_metrics(a, b),
        tensors=tensors,
        distance=math.hypot(*known) if known and len(known) == len(distances) else None,
        configuration=_configuration(a, b),
        problem=problem,
    )


def _metrics(a: ModelVersion, b: ModelVersion) -> list[MetricDelta]:
    told = [version.training_round.metrics if version.training_round else {} for version in (a, b)]
    return [MetricDelta(name, told[0].get(name), told[1].get(name)) for name in sorted(told[0].keys() | told[1].keys())]


def _tensors(a: ModelVersion, b: ModelVersion) -> tuple[list[TensorDistance], str]:
    schemas = [ModelSchema.from_json(version.schema) for version in (a, b)]
    if max(schema.size for schema in schemas) > MOST_VALUES:
        return [], _("Models of more than %(count)d values are not compared here.") % {"count": MOST_VALUES}
    try:
        files = load(a), load(b)
    except (BlobMissing, BlobDamaged) as error:
        return [], error.detail
    names = sorted(files[0].keys() | files[1].keys())
    return [_distance(name, files[0].get(name), files[1].get(name)) for name in names], ""


def _distance(name: str, a: Int32 | None, b: Int32 | None) -> TensorDistance:
    shapes = (_shape(a), _shape(b))
    norm = None if a is None else _norm(a.astype(np.float64))
    if a is None or b is None or a.shape != b.shape:
        return TensorDistance(name, shapes, norm, None)
    return TensorDistance(name, shapes, norm, _norm(b.astype(np.float64) - a.astype(np.float64)))


def _norm(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.linalg.norm(values.ravel())) / SCALE


def _shape(array: Int32 | None) -> str:
    return "-" if array is None else " x ".join(map(str, array.shape)) or _("one value")


def _configuration(a: ModelVersion, b: ModelVersion) -> list[ConfigDifference]:
    told = [_told(version) for version in (a, b)]
    if not all(told):
        return []
    names = [name for name in dict.fromkeys([*told[0], *told[1]]) if told[0].get(name) != told[1].get(name)]
    return [ConfigDifference(name, told[0].get(name, "-"), told[1].get(name, "-")) for name in names]


def _told(version: ModelVersion) -> Mapping[str, str]:
    """The configuration of a version's round, flat, without what differs in every round; empty without a round."""
    if version.training_round is None:
        return {}
    fields = dataclasses.asdict(RoundConfig.decode(bytes(version.training_round.config)))
    flat: dict[str, str] = {}
    for name, value in fields.items():
        if name in _ROUTINE:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": str(part) for inner, part in value.items()}
        else:
            flat[name] = ", ".join(value) if isinstance(value, tuple | list) else str(value)
    return flat
