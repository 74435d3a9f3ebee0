"""What a model is tested on, and what a comparison may train on: by capture and by time, never at random.

Neighbouring flows of one burst look alike; dealt out at random, they would sit on both sides and flatter every result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from models_ml.edge_stream import EdgeStream, concat
from models_ml.errors import TooFewFlows
from models_ml.partitions import TRAIN_FRACTION
from models_ml.validation import hold_out


@dataclass(frozen=True)
class Split:
    """Records by their use.

    Attributes:
        training: what a local model trains on (may be empty).
        held: later records of the training captures, from which thresholds are set (may be empty).
        test: what models are compared on.
        how: the rule, in words.
    """

    training: EdgeStream
    held: EdgeStream
    test: EdgeStream
    how: str

    @property
    def overlap(self) -> int:
        """Test records that are training or held-out records too: 0, or the comparison is worth nothing."""
        seen = _identities(concat([self.training, self.held]))
        return int(np.isin(_identities(self.test), seen).sum())

    def as_json(self) -> dict[str, Any]:
        parts = {"training": self.training, "held": self.held, "test": self.test}
        return {
            "how": self.how,
            "overlap": self.overlap,
            "parts": {name: [_described(part, capture) for capture in _present(part)] for name, part in parts.items()},
        }


def by_time(stream: EdgeStream, fraction: float = TRAIN_FRACTION) -> Split:
    """Of every capture the first `fraction` of its records in order of time to train on, the others to test on."""
    halves = [stream.of_capture(name).split_by_count(fraction) for name in stream.captures]
    training, held = hold_out(concat([earlier for earlier, _ in halves]))
    test = concat([later for _, later in halves])
    share = round(100 * fraction)
    return Split(
        training, held, test, f"of each capture the first {share} % in order of time to train on, the rest to test on"
    )


def by_capture(stream: EdgeStream, test_captures: Sequence[str]) -> Split:
    """Whole captures to test on, all the others to train on.

    Raises:
        TooFewFlows: a capture that is not there.
    """
    present = _present(stream)
    missing = [name for name in test_captures if name not in present]
    if missing:
        raise TooFewFlows(f"there is no capture {', '.join(missing)}", expected=", ".join(present))
    others = [name for name in present if name not in test_captures]
    training, held = hold_out(concat([stream.of_capture(name) for name in others]))
    test = concat([stream.of_capture(name) for name in test_captures])
    return Split(
        training, held, test, f"whole captures to test on ({', '.join(test_captures)}), the others to train on"
    )


def _present(stream: EdgeStream) -> list[str]:
    return [stream.captures[index] for index in np.unique(stream.capture)]


def _described(stream: EdgeStream, capture: str) -> dict[str, Any]:
    part = stream.of_capture(capture)
    return {
        "capture": capture,
        "records": len(part),
        "from": _moment(part.t.min()),
        "to": _moment(part.t.max()),
        "families": part.family_counts(),
    }


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"  # beyond the calendar


def _identities(stream: EdgeStream) -> Any:
    """One number for each record, equal for equal records."""
    mixed = stream.t.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for column in (stream.src, stream.dst, stream.port.astype(np.uint64), stream.bytes_out.view(np.uint64)):
        mixed = (mixed ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed
