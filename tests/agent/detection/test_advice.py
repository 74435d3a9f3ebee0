"""Whose advice an alert carries: a released policy's, with the block that released it, or the playbook's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from federation.agent.detection.alerts import ENDED, Alerts, Voucher
from federation.agent.detection.incidents import Incident, Incidents
from federation.agent.evaluation import FoundModel
from federation.agent.state_rows import StoredBlock
from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm, PrivateKey
from models_ml.families import FAMILIES
from models_ml.response import policy
from models_ml.response.actions import NAMES
from models_ml.response.recommend import AlertContext, Recommender
from tests.models_ml.streams import stream

C2 = FAMILIES.index("C2")
POLICY = {name: np.zeros(shape, dtype=np.int32) for name, shape in policy.SHAPES.items()}
BLOCK = StoredBlock(9, "0" * 64, b"", "rl-policy", 2, "ab" * 32)
KEY = PrivateKey.generate(Algorithm.ED25519)


def alerts(recommender: Recommender, block: StoredBlock | None, **options: Any) -> Alerts:
    voucher = Voucher(FoundModel("tgnn", "cd" * 32, {}, {}, 7, version=3), calibrated=True)
    plain: dict[str, Any] = {"key": KEY, "window": 60.0, "crown_jewels": frozenset(), "clock": ManualClock()}
    return Alerts(voucher, recommender, block, **(plain | options))


def incident(score: float = 0.97, *, embedded: bool = True, flows: int = 2) -> Incident:
    incidents = Incidents(60.0)
    embedding = np.ones((flows, 128), dtype=np.float32) if embedded else None
    family, scores = np.full(flows, C2, np.int8), np.full(flows, score)
    incidents.add(stream(t=np.zeros(flows), dst=np.arange(flows)), family, scores, embedding)
    (found,) = incidents.end_all()
    return found


def test_a_released_policy_advises_and_its_block_is_named() -> None:
    advice = alerts(Recommender(POLICY), BLOCK).of(incident(), ENDED)["recommendation"]
    assert (advice["source"], advice["policy_hash"], advice["policy_block_height"]) == ("policy", "ab" * 32, 9)
    assert advice["action"] in set(NAMES) - advice["masked"].keys()


@pytest.mark.parametrize("released", [True, False])
def test_without_an_embedding_or_a_policy_the_playbook_advises(*, released: bool) -> None:
    made = alerts(Recommender(POLICY), BLOCK) if released else alerts(Recommender(None), None)
    advice = made.of(incident(embedded=not released), ENDED)["recommendation"]
    assert (advice["source"], advice["policy_hash"], advice["policy_block_height"]) == ("playbook", None, None)


@pytest.mark.parametrize("score", [0.1999, 0.2, 0.4999, 0.5, 0.8999, 0.9, 1.0])
def test_the_playbook_is_asked_once_for_what_it_sees_alike(score: float) -> None:
    recommender = Recommender(None)
    made = alerts(recommender, None)
    for flows in (1, 50):
        told = made.of(incident(score, flows=flows), ENDED)["recommendation"]
        context = AlertContext(score, C2, flows=flows, destinations=flows, services=1, bytes_out=0, duration=0)
        whole = recommender.recommend(None, context)
        assert (told["action"], told["masked"], told["approval"]) == (whole.action, whole.masked, whole.approval)


def test_a_crown_jewel_is_escalated_before_anything_is_taken_from_it() -> None:
    made = alerts(Recommender(None), None, crown_jewels=frozenset({1}))
    plain = alerts(Recommender(None), None)
    assert "isolate_host" in made.of(incident(), ENDED)["recommendation"]["masked"]
    assert "isolate_host" not in plain.of(incident(), ENDED)["recommendation"]["masked"]
