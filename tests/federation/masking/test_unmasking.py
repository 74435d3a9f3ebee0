"""From masked updates to a mean: liars are named, no bad sum is released, and a dead worker's work is done once."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from structlog.testing import capture_logs

from federation.masking.steps import Step
from federation.models import MaskedMean, ModelVersion, TrainingRound
from federation.services import aggregation, reconcile
from federation.services.aggregation import whole
from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from ledger.models import Proposal
from models_ml import codec
from privacy.secagg import server
from privacy.secagg.pairs import sealing_key
from privacy.secagg.shamir import SHARE_BYTES
from privacy.secagg.shares import UnmaskShares
from tests.federation.masking.conftest import NAMES
from tests.support.masking import MaskedRound, MaskingOrganization

pytestmark = pytest.mark.django_db


def aggregated(masked: MaskedRound) -> TrainingRound:
    """What became of the round once a worker had its turn."""
    aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=masked.clock)
    return masked.refresh()


def deviation(masked: MaskedRound) -> float:
    """How far the stored mean is from that of their updates, in units of 2^-24."""
    stored = codec.flatten(codec.decode(blobs().get(masked.training_round.masked_means.get().update_digest)))
    return float(np.abs(stored - np.mean([masked[name].update for name in NAMES], axis=0)).max())


def falsified(shares: UnmaskShares, owner: str) -> UnmaskShares:
    """With another share of one organisation's self seed."""
    return UnmaskShares(dict(shares.self_seeds) | {owner: bytes(1) + hashlib.sha256(b"wrong").digest()}, {})


def test_a_wrong_share_is_left_out_and_named(masked: MaskedRound) -> None:
    masked.collect(until=Step.UNMASK)
    masked["org-b"].unmask(falsified(masked["org-b"].unmasking(), "org-d"))
    masked.answer(Step.UNMASK)
    with capture_logs() as logs:
        assert aggregated(masked).status == "verifying"
    assert deviation(masked) <= 4.5
    (wrong,) = [entry for entry in logs if entry["event"] == "masking.wrong_share"]
    assert (wrong["sender"], wrong["owner"], wrong["round_id"]) == ("org-b", "org-d", masked.training_round.round_id)


def test_too_many_wrong_shares_end_the_round_and_name_their_owner(masked: MaskedRound) -> None:
    masked.collect(until=Step.UNMASK)
    for sender in NAMES[:2]:
        masked[sender].unmask(falsified(masked[sender].unmasking(), "org-d"))
    masked.answer(Step.UNMASK)
    failed = aggregated(masked)
    assert (failed.status, failed.failure_code) == ("failed", "unmask_failed")
    assert "'org-d'" in failed.failure_reason


def test_whoever_shares_another_secret_than_it_advertised_ends_the_round(masked: MaskedRound) -> None:
    masked.collect(until=Step.SHARES)
    liar = masked["org-c"]
    liar.share({name: zeros_sealed(liar, name) for name in NAMES if name != "org-c"})
    assert masked.collect().status == "aggregating"
    failed = aggregated(masked)
    assert (failed.status, failed.failure_code) == ("failed", "unmask_failed")
    assert "'org-c'" in failed.failure_reason
    assert not MaskedMean.objects.exists()
    assert not ModelVersion.objects.filter(training_round=failed).exists()


def zeros_sealed(sender: MaskingOrganization, receiver: str) -> str:
    """Two shares that open as they should, of another secret than the sender's."""
    key = sealing_key(sender.secrets.share_private, sender.org_id, receiver, sender.group, sender=sender.org_id)
    return dsse.encode_base64(ChaCha20Poly1305(key).encrypt(bytes(12), bytes(2 * SHARE_BYTES), sender.group.digest))


@pytest.mark.parametrize("beyond", [100 << 24, -100 << 24])
def test_a_sum_beyond_the_rounds_bound_is_not_released(masked: MaskedRound, beyond: int) -> None:
    masked["org-b"].update = np.full_like(masked["org-b"].update, beyond)
    masked.collect()
    failed = aggregated(masked)
    assert (failed.status, failed.failure_code) == ("failed", "sum_out_of_range")
    assert "org-a, org-b, org-c, org-d, org-e" in failed.failure_reason
    assert not MaskedMean.objects.exists()


def test_a_sum_at_the_rounds_bound_is_released(masked: MaskedRound) -> None:
    for organization in masked.organizations.values():
        organization.update = np.full_like(organization.update, 8 << 24)
    masked.collect()
    assert aggregated(masked).status == "verifying"
    assert deviation(masked) == 0


def test_a_damaged_masked_update_ends_the_round(masked: MaskedRound) -> None:
    masked.collect()
    path = blobs().path(masked.training_round.submissions.get(organization__org_id="org-a").wire_digest)
    path.chmod(0o600)
    path.write_bytes(bytes(len(path.read_bytes())))
    failed = aggregated(masked)
    assert (failed.status, failed.failure_code) == ("failed", "blob_damaged")


def test_a_worker_that_dies_after_unmasking_leaves_its_means_to_the_next(
    masked: MaskedRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked.collect()

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(whole, "aggregate", die)
        with pytest.raises(KeyboardInterrupt):
            aggregated(masked)
    kept = MaskedMean.objects.values().get()
    assert list(reconcile.due(clock=clock)) == []
    clock.advance(aggregation.LEASE)
    monkeypatch.setattr(server, "remaining_seeds", die)  # nothing is unmasked twice
    assert aggregated(masked).status == "verifying"
    assert MaskedMean.objects.values().get() == kept
    assert Proposal.objects.filter(round_id=masked.training_round.round_id).count() == 1


def test_a_worker_that_slept_past_its_lease_stores_no_second_means(
    masked: MaskedRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked.collect()
    original, finished = server.remaining_seeds, []

    def slept(*arguments: Any) -> server.Remaining:
        remaining = original(*arguments)
        monkeypatch.setattr(server, "remaining_seeds", original)
        clock.advance(aggregation.LEASE + timedelta(seconds=1))
        finished.append(aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=clock))
        return remaining

    monkeypatch.setattr(server, "remaining_seeds", slept)
    finished.append(aggregation.aggregate_round(round_id=masked.training_round.round_id, clock=clock))
    assert finished == [True, False]
    assert MaskedMean.objects.count() == 1
    assert Proposal.objects.filter(round_id=masked.training_round.round_id).count() == 1
