from __future__ import annotations

import numpy as np
import pytest

from models_ml.families import FAMILIES, UNLABELLED, index_of
from models_ml.response.alerts import EMBEDDING
from models_ml.response.incidents import LASTS, PAUSE, concat, incidents
from tests.models_ml.streams import stream


def scored(*attack: float, family: str = "Scan") -> np.ndarray:
    probabilities = np.zeros((len(attack), len(FAMILIES)), dtype=np.float32)
    probabilities[:, 0] = 1 - np.array(attack)
    probabilities[:, index_of(family)] = attack
    return probabilities


def embedded(count: int) -> np.ndarray:
    return np.repeat(np.arange(count, dtype=np.float32)[:, None], EMBEDDING, axis=1)


def test_a_pause_or_another_host_begins_a_new_incident() -> None:
    flows = stream(t=[0, 10, 20, 20 + PAUSE + 1, 30], src=[1, 1, 1, 1, 2], dst=[5, 6, 5, 5, 5], port=[80, 80, 22, 1, 1])
    found = incidents(flows, scored(0.1, 0.9, 0.2, 0.3, 0.4), embedded(5))
    assert found.flows.tolist() == [3, 1, 1]
    assert found.destinations.tolist() == [2, 1, 1]
    assert found.services.tolist() == [2, 1, 1]
    assert found.duration.tolist() == [20, 0, 0]
    assert found.score == pytest.approx([0.9, 0.3, 0.4])
    assert found.embedding[:, 0].tolist() == [1, 3, 4]  # of the flow with the highest score
    assert (found.family == index_of("Scan")).all()


def test_a_busy_host_is_cut_into_hours() -> None:
    flows = stream(t=np.arange(0, 3 * LASTS, 600.0), src=1)
    found = incidents(flows, scored(*[0.5] * len(flows)), embedded(len(flows)))
    assert found.flows.tolist() == [6, 6, 6]


def test_the_order_of_records_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    flows = stream(t=rng.uniform(0, 20_000, 300), src=rng.integers(6, size=300), dst=rng.integers(9, size=300))
    chances, order = scored(*rng.uniform(size=300)), rng.permutation(300)
    one = incidents(flows, chances, embedded(300))
    other = incidents(flows.select(order), chances[order], embedded(300)[order])
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_attack_wins_over_benign_and_unlabelled_is_no_verdict() -> None:
    scan, c2 = index_of("Scan"), index_of("C2")
    flows = stream(
        t=[1, 2, 3, 4, 5, 6, 7, 8],
        src=[1, 1, 1, 1, 2, 2, 3, 4],
        family=[0, 0, c2, UNLABELLED, 0, UNLABELLED, UNLABELLED, scan],
    )
    found = incidents(flows, scored(*[0.5] * 8), embedded(8))
    assert found.truth.tolist() == [c2, 0, UNLABELLED, scan]
    assert found.labelled().truth.tolist() == [c2, 0, scan]
    assert len(concat([found, found])) == 8


def test_no_flows_are_no_incidents_and_arrays_must_fit() -> None:
    assert len(incidents(stream(t=[]), scored(), embedded(0))) == 0
    with pytest.raises(ValueError, match="2 flows need"):
        incidents(stream(t=[1, 2]), scored(0.5), embedded(2))
