from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models_ml.errors import SchemaMismatch
from models_ml.families import FAMILIES, index_of
from models_ml.fixed_point import SCALE
from models_ml.response import masks, playbook
from models_ml.response.actions import ACTIONS, CLOSE_BENIGN, DISRUPTIVE, MONITOR, NAMES, REVERSIBLE
from models_ml.response.alerts import EMBEDDING, EMBEDDING_SIZE, STATE, AlertContext, Alerts, observe
from models_ml.response.policy import SHAPES
from models_ml.response.recommend import Recommender

ALERT = AlertContext(
    score=0.97,
    family=index_of("C2"),
    flows=40,
    destinations=1,
    services=1,
    bytes_out=12_400,
    duration=1800.0,
)
EMBEDDED = np.linspace(-1, 3, EMBEDDING, dtype=np.float32)


def policy(favourite: str, *, value: float = 0.0) -> dict[str, np.ndarray]:
    """A policy that always prefers one action."""
    tensors = {name: np.zeros(shape, dtype=np.int32) for name, shape in SHAPES.items()}
    tensors["pi.bias"][NAMES.index(favourite)] = SCALE
    tensors["q.bias"][NAMES.index(favourite)] = round(value * SCALE)
    return tensors


def test_without_a_policy_the_playbook_recommends_and_says_so() -> None:
    advice = Recommender(None).recommend(EMBEDDED, ALERT)
    assert (advice.action, advice.source, advice.needs_approval, advice.approval) == (
        "block_ip",
        "playbook",
        True,
        "analyst",
    )
    assert "step 1 of 5 against C2" in advice.reason
    assert "no policy is released" in advice.reason
    assert dict(advice.masked) == {
        "reset_credentials": "it cannot be undone: collect evidence, contain or escalate first",
        "close_benign": "at a score of 0.5 or more an incident is not closed as benign",
    }


def test_the_playbook_follows_its_steps_until_a_person_has_the_incident() -> None:
    taken: list[str] = []
    while len(taken) < 8:
        taken.append(Recommender().recommend(None, replace(ALERT, past_actions=tuple(taken))).action)
    assert taken[:5] == ["block_ip", "collect_evidence", "isolate_host", "quarantine_file", "escalate"]
    assert set(taken[5:]) == {"monitor"}


@pytest.mark.parametrize(
    ("score", "action"), [(0.05, "close_benign"), (0.3, "collect_evidence"), (0.6, "block_ip"), (0.95, "block_ip")]
)
def test_low_scores_are_closed_or_looked_into(score: float, action: str) -> None:
    assert Recommender().recommend(None, replace(ALERT, score=score)).action == action


def test_a_policy_recommends_with_the_values_of_what_is_allowed() -> None:
    advice = Recommender(policy("escalate", value=-0.12)).recommend(EMBEDDED, ALERT)
    assert (advice.action, advice.source, advice.needs_approval) == ("escalate", "policy", False)
    assert advice.values["escalate"] == pytest.approx(-1.2, abs=1e-3)
    assert set(advice.values) == set(NAMES) - set(advice.masked)
    assert "expected cost 1.2 analyst hours" in advice.reason


def test_a_policy_without_an_embedding_gives_way_to_the_playbook() -> None:
    advice = Recommender(policy("escalate")).recommend(None, ALERT)
    assert advice.source == "playbook"
    assert "no embedding" in advice.reason


@pytest.mark.parametrize(
    ("favourite", "changes", "why"),
    [
        ("isolate_host", {"score": 0.8}, "no host is isolated at a score below 0.9"),
        ("block_ip", {"crown_jewel": True}, "escalate first"),
        ("block_ip", {"score": 0.4}, "nothing is taken from anybody"),
        ("block_ip", {"past_actions": ("block_ip",)}, "it has been done"),
        ("reset_credentials", {}, "cannot be undone"),
        ("close_benign", {"score": 0.7}, "is not closed as benign"),
        ("escalate", {"score": 0.1, "past_actions": ("close_benign",)}, "the incident is closed"),
    ],
)
def test_masks_bind_the_policy(favourite: str, changes: dict[str, object], why: str) -> None:
    advice = Recommender(policy(favourite)).recommend(EMBEDDED, replace(ALERT, **changes))  # type: ignore[arg-type]
    assert advice.action != favourite
    assert why in advice.masked[favourite]


def test_crown_jewels_may_be_contained_once_a_person_knows() -> None:
    escalated = replace(ALERT, crown_jewel=True, past_actions=("escalate",))
    assert Recommender(policy("isolate_host")).recommend(EMBEDDED, escalated).action == "isolate_host"


def test_an_irreversible_action_gives_way_unless_it_is_clearly_better() -> None:
    looked_into = replace(ALERT, past_actions=("collect_evidence",))
    hardly, clearly = (policy("reset_credentials", value=value) for value in (0.04, 0.2))
    assert Recommender(hardly).recommend(EMBEDDED, looked_into).action == "monitor"
    assert Recommender(clearly).recommend(EMBEDDED, looked_into).action == "reset_credentials"


def test_reasons_and_mask_agree_on_every_situation() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        context = replace(
            ALERT,
            score=float(rng.choice((0.1, 0.49, 0.5, 0.89, 0.9, 1.0))),
            crown_jewel=bool(rng.integers(2)),
            past_actions=tuple(rng.choice(NAMES, rng.integers(5))),
        )
        free = masks.allowed(Alerts.of(context))[0]
        assert {NAMES[action] for action in np.flatnonzero(~free)} == set(masks.masked(context))
        assert free[MONITOR]
        if "close_benign" in context.past_actions:
            assert free.sum() == 1


def test_every_family_has_steps_that_end_with_a_person() -> None:
    assert set(playbook.STEPS) == set(FAMILIES)
    for steps in playbook.STEPS.values():
        assert ACTIONS[steps[-1]].name == "escalate"
        assert ACTIONS[steps[0]].reversible


def test_what_takes_something_away_is_told_apart_from_what_cannot_be_undone() -> None:
    assert [NAMES[index] for index in np.flatnonzero(DISRUPTIVE)] == [
        "block_ip",
        "isolate_host",
        "reset_credentials",
        "quarantine_file",
    ]
    assert not REVERSIBLE[CLOSE_BENIGN]


def test_the_scale_of_an_embedding_does_not_matter_and_nothing_else_is_lost() -> None:
    alerts = Alerts.of(replace(ALERT, past_actions=("monitor", "block_ip")))
    state = observe(EMBEDDED[None, :], alerts)
    assert state.shape == (1, STATE)
    np.testing.assert_allclose(state, observe(100 * EMBEDDED[None, :], alerts), rtol=1e-6)
    assert np.square(state[0, :EMBEDDING]).mean() == pytest.approx(EMBEDDING_SIZE**2)
    assert np.isfinite(observe(np.zeros((1, EMBEDDING), dtype=np.float32), alerts)).all()
    assert not np.array_equal(state, observe(EMBEDDED[None, :], Alerts.of(ALERT)))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no action 'reboot'"):
        Recommender().recommend(None, replace(ALERT, past_actions=("reboot",)))
    with pytest.raises(ValueError, match="score"):
        Recommender().recommend(None, replace(ALERT, score=1.5))
    with pytest.raises(ValueError, match="no family"):
        Recommender().recommend(None, replace(ALERT, family=99))
    with pytest.raises(ValueError, match="128 values"):
        Recommender().recommend(EMBEDDED[:5], ALERT)
    with pytest.raises(SchemaMismatch):
        Recommender({"pi.bias": np.zeros(8, dtype=np.int32)})
