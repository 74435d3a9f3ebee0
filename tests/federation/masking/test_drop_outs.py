"""Organisations that go missing at any step: the round goes on exactly without them, or ends and says why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from federation.errors import RoundClosed, StepClosed
from federation.masking.steps import Step
from federation.models import MaskedMean, Organization, Participant, TrainingRound
from federation.services import aggregation, rounds
from flxdr.core.clock import ManualClock
from flxdr.platform.models import AuditEvent
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from tests.federation.masking.conftest import NAMES, StartRound
from tests.support.masking import STEPS, MaskedRound

pytestmark = pytest.mark.django_db


def mean_of(masked: MaskedRound) -> np.ndarray[Any, Any]:
    """The one stored mean, flattened."""
    return codec.flatten(codec.decode(blobs().get(masked.training_round.masked_means.get().update_digest)))


def statuses(masked: MaskedRound) -> dict[str, str]:
    rows = masked.training_round.participants.values_list("organization__org_id", "status")
    return dict(rows)


@pytest.mark.parametrize("step", STEPS)
def test_whoever_goes_missing_is_left_out_from_there_on(start: StartRound, clock: ManualClock, step: Step) -> None:
    masked = start(absent={"org-e": step})
    assert masked.collect().status == "aggregating"
    assert aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=clock)
    sent = step in {Step.CONSISTENCY, Step.UNMASK}
    included = NAMES if sent else NAMES[:-1]
    assert masked.training_round.masked_means.get().organizations == list(included)
    exact = np.mean([masked[name].update for name in included], axis=0)
    assert np.abs(mean_of(masked) - exact).max() <= 4 + 0.5
    assert statuses(masked) == dict.fromkeys(NAMES, "submitted") | ({} if sent else {"org-e": "missed"})
    counts = Organization.objects.values_list("org_id", "accepted_count", "missed_count")
    assert set(counts) == {(name, int(name in included), int(name not in included)) for name in NAMES}


@pytest.mark.parametrize("step", [Step.SHARES, Step.MASKED_INPUT, Step.UNMASK])
def test_with_fewer_than_the_threshold_the_round_fails_and_says_who_is_missing(
    start: StartRound, env: Any, step: Step
) -> None:
    env(max_org_failure_rate=1.0)
    masked = start(absent={"org-d": step, "org-e": step})
    assert masked.collect().status == "failed"
    assert masked.training_round.failure_code == "too_few_groups"
    reason = masked.training_round.failure_reason
    assert reason.startswith(f"after the step {step}: 0 of 1 groups are left")
    assert reason.endswith("missing: org-d, org-e")
    assert not MaskedMean.objects.exists()


@pytest.mark.parametrize(
    ("present", "reason"),
    [
        (3, ""),
        (2, "2 organizations joined, 3 are needed to mask"),
        (0, "after the step advertise: 0 of 5 organizations submitted, 2 are needed; missing: " + ", ".join(NAMES)),
    ],
)
def test_too_few_advertisements_make_no_group(start: StartRound, env: Any, present: int, reason: str) -> None:
    env(max_org_failure_rate=1.0)
    masked = start(absent=dict.fromkeys(NAMES[present:], Step.ADVERTISE))
    masked.answer(Step.ADVERTISE)
    assert masked.training_round.failure_reason == reason
    assert masked.training_round.failure_code == ("too_few_submissions" if reason else "")
    assert masked.training_round.step == (Step.ADVERTISE if reason else Step.SHARES)


@pytest.mark.parametrize("step", [Step.ADVERTISE, Step.UNMASK])
def test_the_rounds_own_minimum_counts_at_every_step(start: StartRound, step: Step) -> None:
    masked = start(absent={"org-e": step}, min_orgs=5)
    assert masked.collect().status == "failed"
    assert masked.training_round.failure_code == "too_few_submissions"
    assert "missing: org-e" in masked.training_round.failure_reason


@pytest.mark.parametrize("step", [Step.SHARES, Step.CONSISTENCY])
def test_the_rate_of_failures_counts_at_every_step(start: StartRound, env: Any, step: Step) -> None:
    env(max_org_failure_rate=0.1)
    masked = start(absent={"org-e": step})
    assert masked.collect().status == "failed"
    assert masked.training_round.failure_code == "failure_rate_exceeded"


def test_drop_outs_add_up_over_the_steps(start: StartRound, env: Any) -> None:
    env(max_org_failure_rate=1.0)
    masked = start(absent={"org-d": Step.SHARES, "org-e": Step.UNMASK})
    assert masked.collect().status == "failed"
    assert masked.training_round.failure_code == "too_few_groups"
    assert masked.training_round.step == Step.UNMASK


def test_a_failed_round_blames_only_those_whom_it_waited_for(start: StartRound, env: Any) -> None:
    env(max_org_failure_rate=1.0)
    masked = start(absent={"org-d": Step.SHARES, "org-e": Step.SHARES})
    masked.collect()
    assert statuses(masked) == dict.fromkeys(NAMES[:3], "expected") | dict.fromkeys(NAMES[3:], "missed")
    missed = Organization.objects.filter(missed_count=1).values_list("org_id", flat=True)
    assert set(missed) == {"org-d", "org-e"}


def test_a_step_ends_at_its_deadline_and_not_before(masked: MaskedRound, clock: ManualClock, env: Any) -> None:
    for name in NAMES[:4]:
        masked[name].advertise()
    clock.advance(masked.refresh().deadline - clock.now() - timedelta(seconds=1))
    assert not rounds.close_collection(round_id=masked.training_round.round_id, clock=clock)
    assert masked.refresh().step == Step.ADVERTISE
    clock.advance(timedelta(seconds=1))
    rounds.close_collection(round_id=masked.training_round.round_id, clock=clock)
    assert masked.refresh().step == Step.SHARES
    assert masked.training_round.deadline - clock.now() == timedelta(seconds=60)
    rounds.close_collection(round_id=masked.training_round.round_id, clock=clock)
    assert masked.refresh().step == Step.SHARES


def test_every_step_is_on_record(start: StartRound) -> None:
    masked = start(absent={"org-e": Step.MASKED_INPUT})
    masked.collect()
    events = AuditEvent.objects.filter(kind="round.step").order_by("pk").values_list("data", flat=True)
    dropped: list[list[str]] = [[], [], ["org-e"], []]
    assert list(events) == [
        {"from": step.value, "to": after.value, "dropped": names}
        for step, after, names in zip(STEPS, STEPS[1:], dropped, strict=False)
    ]


@pytest.mark.parametrize("step", STEPS)
def test_after_the_deadline_a_step_takes_nothing(masked: MaskedRound, clock: ManualClock, step: Step) -> None:
    masked.collect(until=step)
    clock.advance(masked.refresh().deadline - clock.now())
    before = TrainingRound.objects.values().get()
    with pytest.raises((StepClosed, RoundClosed)):
        masked["org-a"].answer(step)
    assert TrainingRound.objects.values().get() == before
    assert not masked.training_round.submissions.filter(received_at=clock.now()).exists()
    assert Participant.objects.filter(status="missed").count() == 0
