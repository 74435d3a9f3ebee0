"""What nobody saw stays unseen: captures that are left out, and what is later."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detection_quality import LATER, LEFT_OUT, federated_moments, split_of
from models_ml.edge_stream import EdgeStream
from models_ml.families import UNLABELLED
from models_ml.features import extract
from models_ml.normalisation import moments
from models_ml.partitions import ORGANIZATIONS
from tests.models_ml.streams import stream

CAPTURES = tuple(name for captures in ORGANIZATIONS.values() for name in captures)


def labelled_captures() -> EdgeStream:
    """Forty flows of every capture, a tenth of them unlabelled; each flow has a destination of its own."""
    count = 40 * len(CAPTURES)
    return stream(
        CAPTURES,
        t=np.arange(count),
        dst=np.arange(count),
        capture=np.arange(count) % len(CAPTURES),
        family=np.where(np.arange(count) % 10 == 0, UNLABELLED, np.arange(count) % 2),
    )


@pytest.mark.parametrize("name", [*LEFT_OUT, LATER])
def test_no_flow_that_is_left_out_is_trained_on_or_sets_a_threshold(name: str) -> None:
    split = split_of(labelled_captures(), name)

    seen = np.concatenate([part.dst for part in (*split.fit, *split.held)])
    unseen = np.concatenate([part.dst for part in split.unseen])
    assert not np.intersect1d(seen, unseen).size
    assert len(seen) + len(unseen) == (labelled_captures().family != UNLABELLED).sum()
    assert len(split.fit) >= 3, "a federation is left"
    if name != LATER:
        used = {part.captures[index] for part in (*split.fit, *split.held) for index in np.unique(part.capture)}
        assert used == set(CAPTURES) - set(LEFT_OUT[name])


def test_moments_of_organisations_are_those_of_all_their_records() -> None:
    whole = labelled_captures()
    halves = [whole.select(slice(0, 100)), whole.select(slice(100, 130))]
    together = np.concatenate([extract(half) for half in halves])

    pooled = federated_moments(halves)

    for name, array in moments(together).items():
        assert np.abs(pooled[name] - array).max() <= 2
