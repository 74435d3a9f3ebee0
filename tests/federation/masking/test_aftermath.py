"""What stays of a masked round: a block that covers the masked bytes, proofs for those in it, and later no files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from federation import selectors
from federation.errors import SubmissionMissing
from federation.masking.steps import Step
from federation.models import ModelVersion
from federation.services.retention import discard_updates
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from ledger.chain.block import Provenance, SubmissionEntry, parse_header, submission_leaves, submissions_root
from ledger.chain.merkle import verify_inclusion
from ledger.models import Block
from ledger.services.recomputation import recompute_releases
from tests.federation.masking.conftest import NAMES, StartRound
from tests.support.federation import SimulatedFederation
from tests.support.masking import SAMPLES, MaskedRound

pytestmark = pytest.mark.django_db


def completed(masked: MaskedRound, federation: SimulatedFederation) -> Provenance:
    """The provenance in the block of the round's release."""
    masked.collect()
    federation.settle()
    assert masked.refresh().status == "completed"
    newest = Block.objects.order_by("height").last()
    assert newest is not None
    provenance = parse_header(bytes(newest.header)).provenance
    assert provenance is not None
    return provenance


def test_the_block_covers_what_those_who_stayed_sent(start: StartRound, federation: SimulatedFederation) -> None:
    masked = start(absent={"org-c": Step.MASKED_INPUT})
    provenance = completed(masked, federation)
    stayed = [name for name in NAMES if name != "org-c"]
    bodies = {row.organization.org_id: row.wire_digest for row in masked.training_round.submissions.all()}
    entries = [SubmissionEntry(name, bodies[name], SAMPLES) for name in stayed]
    assert provenance.protection == "secagg"
    assert list(provenance.training_orgs) == stayed
    assert provenance.samples_total == 4 * SAMPLES
    assert provenance.submissions_root == submissions_root(entries)


def test_everybody_in_the_sum_can_prove_it(start: StartRound, federation: SimulatedFederation) -> None:
    masked = start(absent={"org-e": Step.MASKED_INPUT})
    provenance = completed(masked, federation)
    for name in NAMES[:4]:
        own = selectors.own_submission(name, masked.training_round.round_id)
        (leaf,) = submission_leaves([SubmissionEntry(name, own["submission_digest"], own["samples"])])
        proof = [bytes.fromhex(node) for node in own["proof"]]
        root = bytes.fromhex(provenance.submissions_root)
        assert verify_inclusion(leaf, own["leaf_index"], own["tree_size"], proof, root)
    with pytest.raises(SubmissionMissing):
        selectors.own_submission("org-e", masked.training_round.round_id)


def test_a_masked_release_cannot_be_recomputed_and_says_so(
    masked: MaskedRound, federation: SimulatedFederation
) -> None:
    completed(masked, federation)
    report = recompute_releases(last=Block.objects.count() - 1)
    (found,) = report.not_recomputable
    assert (report.holds, report.matched) == (True, 0)
    assert found.field == "the updates of a secagg round were never in the clear"


def test_old_masked_updates_and_their_means_are_discarded(
    masked: MaskedRound, federation: SimulatedFederation, clock: ManualClock
) -> None:
    completed(masked, federation)
    digests = {row.wire_digest for row in masked.training_round.submissions.all()}
    digests |= {mean.update_digest for mean in masked.training_round.masked_means.all()}
    assert len(digests) == 6
    assert all(blobs().exists(digest) for digest in digests)
    clock.advance(timedelta(days=31))
    assert discard_updates(days=30, clock=clock) == [masked.training_round.round_id]
    assert not any(blobs().exists(digest) for digest in digests)
    assert blobs().exists(ModelVersion.objects.get(training_round=masked.training_round).blob_digest)


def test_a_mean_that_another_round_came_to_as_well_stays(
    masked: MaskedRound, federation: SimulatedFederation, clock: ManualClock
) -> None:
    completed(masked, federation)
    clock.advance(timedelta(days=31))
    later = MaskedRound.start(federation, clock, updates_of(masked), model_name=masked.training_round.model_name)
    completed(later, federation)
    mean, again = (each.training_round.masked_means.get() for each in (masked, later))
    assert mean.update_digest == again.update_digest
    assert discard_updates(days=30, clock=clock) == [masked.training_round.round_id]
    assert blobs().exists(mean.update_digest)


def updates_of(masked: MaskedRound) -> dict[str, Any]:
    return {name: organization.update for name, organization in masked.organizations.items()}
