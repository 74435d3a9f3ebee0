"""Shares, masked updates, confirmations and unmasking shares: what each step takes, once, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation import errors
from federation.masking.steps import Step
from federation.models import Organization, Submission
from federation.services.received import NamedTensors
from flxdr.core import dsse
from flxdr.core.errors import Malformed
from flxdr.core.keys import SignatureInvalid
from privacy.errors import MaskedVectorInvalid, ShareInvalid
from privacy.secagg.client import SEALED_BYTES
from privacy.secagg.shares import UnmaskShares
from tests.federation.masking.conftest import NAMES, StartRound
from tests.federation.masking.refusals import Refusals
from tests.federation.submitting import normaliser_delta
from tests.support.factories import tensor_update
from tests.support.masking import STEPS, MaskedRound

pytestmark = pytest.mark.django_db


def test_shares_are_taken_for_exactly_the_others(masked: MaskedRound, refused: Refusals) -> None:
    masked.collect(until=Step.SHARES)
    alpha = masked["org-a"]
    honest = alpha.sealed()
    for changed in (
        {},
        {name: share for name, share in honest.items() if name != "org-e"},
        honest | {"org-a": honest["org-b"]},
        honest | {"stranger": honest["org-b"]},
    ):
        with refused(errors.RosterInvalid, "one for each of org-b, org-c, org-d, org-e"):
            alpha.share(changed)
    for length in (0, SEALED_BYTES - 1, SEALED_BYTES + 1):
        with refused(errors.StatementMalformed, "org-b"):
            alpha.share(honest | {"org-b": dsse.encode_base64(bytes(length))})
    with refused(Malformed, "org-b"):
        alpha.share(honest | {"org-b": "not base64"})
    for roster_hash in ("0" * 64, ""):
        with refused(errors.RosterInvalid, "for the roster"):
            alpha.share(honest, roster_hash=roster_hash)
    assert alpha.share(honest)
    assert not alpha.share(honest)
    with refused(errors.AlreadyAnswered):
        alpha.share(honest | {"org-b": honest["org-c"]})


def test_a_masked_update_is_taken_once_whole_and_for_this_roster(masked: MaskedRound, refused: Refusals) -> None:
    masked.collect(until=Step.MASKED_INPUT)
    alpha = masked["org-a"]
    body = alpha.body()
    for changed in (b"", body[:-1], body + b"\0", body + bytes(4), body * 2):
        with refused(MaskedVectorInvalid):
            alpha.submit(alpha.received(changed))
    with refused(errors.StatementMismatch, "another roster"):
        alpha.submit(alpha.received(roster_hash="0" * 64))
    with refused(errors.StatementMismatch, "roster_hash"):
        alpha.submit(replace(alpha.received(), roster_hash="0" * 64))
    with refused(errors.StatementMismatch, "samples"):
        alpha.submit(alpha.received(samples=alpha.samples + 1))
    assert Organization.objects.get(org_id="org-a").rejected_count == 8
    first = alpha.submit()
    assert alpha.submit().pk == first.pk
    with refused(errors.AlreadySubmitted):
        alpha.submit(alpha.received(alpha.body(alpha.update + 1)))


def test_an_update_in_the_clear_is_never_taken_instead(masked: MaskedRound, refused: Refusals) -> None:
    masked.collect(until=Step.MASKED_INPUT)
    alpha = masked["org-a"]
    clear = tensor_update(alpha.round_id, "org-a", normaliser_delta())
    for kind in ("delta", "weights", "masked"):
        with refused(errors.ProtectionMismatch, "masked update"):
            alpha.submit(alpha.signed_update(replace(clear, kind=kind)))
    with refused(errors.ProtectionMismatch, "masked update"):
        alpha.submit(alpha.received(payload=NamedTensors({})))


def test_a_masked_update_is_never_taken_in_the_clear(start: StartRound, refused: Refusals) -> None:
    masked = start()
    masked.collect(until=Step.MASKED_INPUT)
    sent = masked["org-a"].received()
    plain = masked.plain_round()
    with refused(errors.ProtectionMismatch, "a round without masks"):
        masked["org-a"].submit(masked["org-a"].signed_update(replace(sent, round_id=plain.round_id)))


def test_nobody_sees_norms_or_scores_of_a_masked_update(masked: MaskedRound) -> None:
    masked.collect()
    for participant in masked.training_round.participants.all():
        assert participant.status == "submitted"
        figures = (participant.update_norm, participant.cosine, participant.distance, participant.anomaly_score)
        assert figures == (None,) * 4
    for submission in Submission.objects.all():
        assert (submission.kind, submission.update_digest) == ("masked", submission.wire_digest)


def test_only_this_rounds_survivors_are_confirmed(start: StartRound, refused: Refusals) -> None:
    masked = start(absent={"org-e": Step.MASKED_INPUT})
    masked.collect(until=Step.CONSISTENCY)
    alpha = masked["org-a"]
    changes: tuple[dict[str, Any], ...] = (
        {"survivors": NAMES},
        {"survivors": NAMES[:3]},
        {"sharers": NAMES[:4]},
        {"round_id": "round-9"},
        {"roster_hash": "0" * 64},
    )
    for changed in changes:
        with refused(errors.StatementMismatch, "survivors"):
            alpha.confirm(alpha.confirmation(**changed))
    honest = alpha.confirmation()
    with refused(SignatureInvalid):
        alpha.confirm(alpha.signed(honest.statement, dsse.ADVERTISEMENT_TYPE))
    with refused(errors.UnknownKey):
        alpha.confirm(masked["org-b"].confirmation())
    assert alpha.confirm()
    assert not alpha.confirm()
    with refused(errors.AlreadyAnswered):
        alpha.confirm(alpha.confirmation(survivors=NAMES))


def test_unmasking_shares_are_those_of_the_survivors_and_of_no_other(start: StartRound, refused: Refusals) -> None:
    masked = start(absent={"org-e": Step.MASKED_INPUT})
    masked.collect(until=Step.UNMASK)
    alpha = masked["org-a"]
    honest = alpha.unmasking()
    seeds, keys = dict(honest.self_seeds), dict(honest.mask_keys)
    assert (set(seeds), set(keys)) == (set(NAMES[:4]), {"org-e"})
    some = seeds["org-a"]
    for changed in (
        UnmaskShares(seeds | {"org-e": some}, {}),
        UnmaskShares({name: share for name, share in seeds.items() if name != "org-d"}, keys | {"org-d": some}),
        UnmaskShares(seeds, {}),
        UnmaskShares({}, keys),
        UnmaskShares(seeds, keys | {"stranger": some}),
    ):
        with refused(ShareInvalid, "other parties"):
            alpha.unmask(changed)
    assert alpha.unmask()
    assert not alpha.unmask()
    with refused(errors.AlreadyAnswered):
        alpha.unmask(UnmaskShares(seeds | {"org-b": some}, keys))


def test_shares_of_both_kinds_of_one_organization_cannot_even_be_written_down() -> None:
    share = bytes(33).hex()
    with pytest.raises(ShareInvalid, match="both secrets of org-a"):
        UnmaskShares.from_json({"self_seeds": {"org-a": share}, "mask_keys": {"org-a": share}})


def test_a_masked_update_that_was_held_back_comes_too_late(masked: MaskedRound, refused: Refusals) -> None:
    masked.collect(until=Step.MASKED_INPUT)
    held = masked["org-e"].received()
    masked.absent = {"org-e": Step.MASKED_INPUT}
    for step in (Step.MASKED_INPUT, Step.CONSISTENCY, Step.UNMASK):
        masked.answer(step)
        with refused((errors.StepClosed, errors.RoundClosed)):
            masked["org-e"].submit(held)


def test_whoever_dropped_out_is_not_heard_again(start: StartRound, refused: Refusals) -> None:
    masked = start(absent={"org-e": Step.ADVERTISE})
    masked.answer(Step.ADVERTISE)
    late = masked["org-e"]
    for step, send in (
        (Step.SHARES, lambda: late.share({})),
        (Step.MASKED_INPUT, lambda: late.submit(late.received(bytes(4 * late.update.size)))),
        (Step.CONSISTENCY, lambda: late.confirm(late.signed(b"{}", dsse.SURVIVORS_TYPE))),
        (Step.UNMASK, lambda: late.unmask(UnmaskShares({}, {}))),
    ):
        with refused(errors.StepClosed, "goes on without org-e"):
            send()
        masked.answer(step)
    assert masked.training_round.status == "aggregating"


@pytest.mark.parametrize("early", [Step.SHARES, Step.MASKED_INPUT, Step.CONSISTENCY, Step.UNMASK])
def test_no_step_is_answered_before_its_time(masked: MaskedRound, refused: Refusals, early: Step) -> None:
    masked.collect(until=STEPS[STEPS.index(early) - 1])
    with refused(errors.StepClosed):
        masked["org-a"].answer(early)


def test_a_masked_update_declares_the_noise_that_was_advertised(start: StartRound, refused: Refusals, env: Any) -> None:
    env(privacy_mode="organization", privacy_clipping_norm=0.05)
    masked = start()
    masked.collect(until=Step.MASKED_INPUT)
    with refused(errors.PrivacyMismatch, "than was advertised"):
        masked["org-a"].submit()
    masked["org-a"].submit(masked["org-a"].received(privacy=dict(masked["org-a"].config.privacy)))
