"""The showcase, which browser tests and screenshots look at, holds every state that a page tells apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from federation.models import ModelVersion, Organization, SharedDetection, TrainingRound
from flxdr.env import Env
from flxdr.notifications.models import Notification
from ledger.models import Cosignature, LateApproval, Proposal, ReleaseStatement
from privacy.models import BudgetEntry
from tests.conftest import SentTasks
from tests.support.showcase import SHOWN, Showcase


@pytest.mark.django_db
def test_every_state_is_there(sent_tasks: SentTasks, env: Callable[..., Env]) -> None:
    env(**SHOWN)
    Showcase().build()
    assert {"completed", "failed", "in_progress"} <= set(TrainingRound.objects.values_list("status", flat=True))
    assert set(Organization.objects.values_list("status", flat=True)) == set(Organization.Status.values)
    assert {"released", "refused", "withdrawn"} <= set(ModelVersion.objects.values_list("status", flat=True))
    assert Proposal.objects.filter(status=Proposal.Status.OPEN).exists()
    assert SharedDetection.objects.exists()
    assert {each.is_open for each in Notification.objects.all()} == {True, False}
    assert BudgetEntry.objects.filter(kind="spent").exists()
    assert {LateApproval.objects.count(), ReleaseStatement.objects.count(), Cosignature.objects.count()} == {1, 3, 4}
