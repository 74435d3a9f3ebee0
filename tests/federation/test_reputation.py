"""What an organisation's record counts: taken, left out, missed, refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from federation import errors
from federation.models import ModelVersion, Organization, TrainingRound
from federation.services import rounds, submissions
from flxdr.core.clock import ManualClock
from flxdr.core.errors import FlxdrError
from flxdr.platform.errors import BlobDamaged
from flxdr.platform.storage.blobs import blobs
from privacy.errors import UpdateInvalid
from tests.federation.submitting import normaliser_delta
from tests.support.factories import json_update, tensor_update
from tests.support.federation import SimulatedFederation, SimulatedOrganization

pytestmark = pytest.mark.django_db


def counts(org_id: str) -> tuple[int, int, int, int]:
    """(accepted, left out, missed, rejected)"""
    row = Organization.objects.get(org_id=org_id)
    return (row.accepted_count, row.left_out_count, row.missed_count, row.rejected_count)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"values": [[float("nan"), 0], [0, 0]]}, UpdateInvalid),
        ({"samples": 0}, errors.SamplesInvalid),
        ({"metrics": {"accuracy": 2.0}}, errors.MetricsInvalid),
        ({"privacy": {"mechanism": "gaussian"}}, errors.PrivacyMismatch),
    ],
)
def test_an_update_refused_for_what_it_holds_is_counted(
    pair: SimulatedFederation, opened: TrainingRound, clock: ManualClock, changes: Any, error: type[FlxdrError]
) -> None:
    for expected in (1, 2):
        with pytest.raises(error):
            submissions.submit(
                principal_org="org-beta", received=json_update(opened.round_id, "org-beta", **changes), clock=clock
            )
        assert counts("org-beta") == (0, 0, 0, expected)
    assert counts("org-alpha") == (0, 0, 0, 0)


def test_another_organizations_statement_is_counted(
    alpha: SimulatedOrganization, normaliser: TrainingRound, clock: ManualClock
) -> None:
    received = alpha.signed(tensor_update(normaliser.round_id, "org-alpha", normaliser_delta()), org="org-beta")
    with pytest.raises(errors.StatementMismatch):
        submissions.submit(principal_org="org-alpha", received=received, clock=clock)
    assert counts("org-alpha") == (0, 0, 0, 1)


def test_what_is_no_fault_of_the_content_is_not_counted(
    beta: SimulatedOrganization, opened: TrainingRound, clock: ManualClock
) -> None:
    first = json_update(opened.round_id, "org-beta")
    beta.submit(first)
    assert not submissions.submit(principal_org="org-beta", received=first, clock=clock)[1]
    other = json_update(opened.round_id, "org-beta", [[1.0, 1.0], [1.0, 1.0]])
    for received, error in (
        (other, errors.AlreadySubmitted),
        (replace(first, round_id="round-9"), errors.RoundMissing),
        (replace(first, org_id="org-alpha"), errors.NotYourOrganization),
    ):
        with pytest.raises(error):
            submissions.submit(principal_org="org-beta", received=received, clock=clock)
    assert counts("org-beta") == (0, 0, 0, 0)


def test_a_late_update_is_missed_and_not_rejected(
    alpha: SimulatedOrganization, opened: TrainingRound, clock: ManualClock
) -> None:
    clock.advance(timedelta(days=1))
    with pytest.raises(errors.RoundClosed):
        alpha.submit(json_update(opened.round_id, "org-alpha", [[float("nan"), 0], [0, 0]]))
    rounds.close_collection(round_id=opened.round_id, clock=clock)
    assert counts("org-alpha") == (0, 0, 1, 0)


def test_a_damaged_parent_is_the_coordinators_fault(
    beta: SimulatedOrganization, normaliser: TrainingRound, clock: ManualClock
) -> None:
    blobs().path(ModelVersion.objects.get().blob_digest).write_bytes(b"tampered")
    with pytest.raises(BlobDamaged):
        beta.submit_delta(normaliser, normaliser_delta(), kind="weights")  # told from the parent
    assert counts("org-beta") == (0, 0, 0, 0)
