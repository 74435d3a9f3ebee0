"""Scores of a stream in pieces: as if it had come at once, in bounded memory, explained by the flows before."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from models_ml.edge_stream import EdgeStream, concat
from models_ml.errors import SchemaMismatch
from models_ml.families import FAMILIES
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, MODELS
from models_ml.tgnn import scoring
from models_ml.tgnn.network import EMBEDDING
from models_ml.tgnn.scoring import Scorer
from tests.models_ml.streams import stream
from tests.models_ml.tgnn.networks import busy_network, initial_model


def test_pieces_score_as_the_whole_stream_does() -> None:
    data = busy_network(1, 700)
    whole = Scorer(initial_model()).score(data)
    scorer = Scorer(initial_model())
    cuts = [0, 1, 3, 250, 250, 251, 700]

    pieces = [scorer.score(data.select(slice(*ends))) for ends in pairwise(cuts)]

    assert whole.probabilities.shape == (700, len(FAMILIES))
    assert whole.embedding.shape == (700, EMBEDDING)
    np.testing.assert_allclose(
        np.concatenate([piece.probabilities for piece in pieces]), whole.probabilities, atol=1e-5
    )
    np.testing.assert_allclose(np.concatenate([piece.embedding for piece in pieces]), whole.embedding, atol=1e-4)


def test_records_come_back_in_the_order_of_the_piece() -> None:
    data = busy_network(2, 300)
    shuffled = np.random.default_rng(0).permutation(300)

    ordered, mixed = Scorer(initial_model()).score(data), Scorer(initial_model()).score(data.select(shuffled))

    np.testing.assert_allclose(mixed.probabilities, ordered.probabilities[shuffled], atol=1e-6)


def test_a_late_record_counts_as_happening_now() -> None:
    data = busy_network(3, 200)
    late = data.select(slice(150, 151))
    scorer, reference = Scorer(initial_model()), Scorer(initial_model())
    scorer.score(data.select(slice(0, 199)))
    reference.score(data.select(slice(0, 199)))

    scored = scorer.score(late)
    now = replace(late, t=data.t[198:199])

    np.testing.assert_array_equal(scored.probabilities, reference.score(now).probabilities)


def test_memory_is_bounded_and_those_seen_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 64)
    rng = np.random.default_rng(0)
    crowd = stream(t=np.arange(2000.0), src=rng.integers(1000, 10**6, 2000), dst=rng.integers(1000, 10**6, 2000))
    pair = stream(t=[3000.0, 3001.0], src=[1, 1], dst=[2, 2])
    bounded, unbounded = Scorer(initial_model(), max_hosts=40), Scorer(initial_model(), max_hosts=10_000)
    for scorer in (bounded, unbounded):
        scorer.score(crowd)
        scorer.score(pair)

    assert len(bounded._hosts) == 40
    again = stream(t=[3010.0], src=[1], dst=[2])
    np.testing.assert_allclose(bounded.score(again).probabilities, unbounded.score(again).probabilities, atol=1e-6)
    long_gone = stream(t=[3020.0], src=[crowd.src[0]], dst=[crowd.dst[0]])
    assert bounded.score(long_gone).probabilities != pytest.approx(unbounded.score(long_gone).probabilities)


def test_nothing_that_follows_changes_a_score() -> None:
    data = busy_network(4, 400)

    whole, first = Scorer(initial_model()).score(data), Scorer(initial_model()).score(data.select(slice(0, 200)))

    np.testing.assert_allclose(first.probabilities, whole.probabilities[:200], atol=1e-6)


def test_hosts_count_by_what_they_do_and_not_by_who_they_are() -> None:
    data = busy_network(5, 300)
    renamed = np.random.default_rng(1).permutation(100).astype(np.uint64)
    other = replace(data, src=renamed[data.src], dst=renamed[data.dst])

    scores, others = Scorer(initial_model()).score(data), Scorer(initial_model()).score(other)

    np.testing.assert_allclose(others.probabilities, scores.probabilities, atol=1e-5)


def test_the_effect_of_a_driver_is_what_leaving_it_out_changes() -> None:
    """Where the flow left out is old enough, the features of the scored flow are the same without it."""
    earlier = stream(
        t=[0.0, 1000.0, 5000.0],
        src=[1, 1, 9],
        dst=[2, 3, 8],
        port=[22, 443, 80],
        bytes_in=[0, 400, 10],
        state=[0, 2, 2],
    )
    last = stream(t=[9000.0], src=[1], dst=[7], port=[23], bytes_in=[0], state=[0])
    scorer, without = Scorer(initial_model()), Scorer(initial_model())

    scores = scorer.score(concat([earlier, last])).probabilities
    drivers = scorer.explain(3)
    others = without.score(concat([earlier.select(slice(1, None)), last])).probabilities

    assert {(driver.t, driver.port, driver.role) for driver in drivers} == {
        (0.0, 22, "source"),
        (1000.0, 443, "source"),
    }
    odds = [np.log(row[1:].sum()) - np.log(row[0]) for row in (scores[3], others[2])]
    effect = next(driver.effect for driver in drivers if driver.t == 0)
    assert effect == pytest.approx(odds[0] - odds[1], abs=1e-4)
    assert abs(effect) > 1e-4


def test_a_flow_between_two_hosts_before_is_one_driver_and_a_first_flow_has_none() -> None:
    scorer = Scorer(initial_model())
    scorer.score(stream(t=[0.0, 10.0], src=[1, 2], dst=[2, 1]))

    assert scorer.explain(0) == ()
    assert [(driver.t, driver.src, driver.dst, driver.role) for driver in scorer.explain(1)] == [(0.0, 1, 2, "source")]


def test_no_records_score_nothing() -> None:
    scored = Scorer(initial_model()).score(EdgeStream.empty())

    assert scored.probabilities.shape == (0, len(FAMILIES))
    assert scored.embedding.shape == (0, EMBEDDING)


def test_a_scorer_normalises_with_the_basis_and_refuses_other_models() -> None:
    data = busy_network(6, 50)
    basis = {EDGE_NORMALISER: MODELS[EDGE_NORMALISER].initial()}
    basis[EDGE_NORMALISER]["mean"] += 1 << 23

    shifted = Scorer(initial_model(), basis).score(data).probabilities

    assert not np.allclose(shifted, Scorer(initial_model()).score(data).probabilities)
    with pytest.raises(SchemaMismatch):
        Scorer(MODELS[EDGE_CLASSIFIER].initial())
