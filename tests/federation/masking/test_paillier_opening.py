"""The step in which a holder of the key opens a Paillier round's sums: right openings end it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from federation.errors import AlreadyAnswered, RoundClosed, StepClosed
from federation.masking.steps import Step
from federation.models import Participant
from federation.selectors import masking as selectors
from federation.services import reconcile, rounds
from flxdr.core.clock import ManualClock
from privacy.paillier import decryption, encryption
from privacy.paillier.decryption import Openings
from privacy.paillier.errors import OpeningInvalid
from privacy.paillier.keys import PublicKey
from tests.federation.masking.conftest import NAMES, StartPaillier
from tests.federation.masking.refusals import Refusals
from tests.federation.sharded_rounds import undone
from tests.support.paillier import PaillierRound

pytestmark = pytest.mark.django_db
FOUR = NAMES[:4]
Change = Callable[[Openings, PublicKey], bytes]


@pytest.fixture
def added(start_paillier: StartPaillier) -> PaillierRound:
    """A round of four, of whom three can open its sum, which waits for it."""
    masked = start_paillier(FOUR)
    assert masked.add().step == Step.OPEN
    return masked


def one_m(opened: Openings, public: PublicKey) -> bytes:
    first, *rest = opened.plaintexts
    return replace(opened, plaintexts=(first + 1, *rest)).to_bytes(public)


def one_r(opened: Openings, public: PublicKey) -> bytes:
    *rest, last = opened.randomizers
    return replace(opened, randomizers=(*rest, last * 2 % public.n)).to_bytes(public)


def swapped(opened: Openings, public: PublicKey) -> bytes:
    (m, n, *ms), (r, s, *rs) = opened.plaintexts, opened.randomizers
    return Openings((n, m, *ms), (s, r, *rs)).to_bytes(public)


def reordered(opened: Openings, public: PublicKey) -> bytes:
    return replace(opened, plaintexts=tuple(reversed(opened.plaintexts))).to_bytes(public)


def truncated(opened: Openings, public: PublicKey) -> bytes:
    return opened.to_bytes(public)[:-1]


def one_too_few(opened: Openings, public: PublicKey) -> bytes:
    return Openings(opened.plaintexts[1:], opened.randomizers[1:]).to_bytes(public)


def beyond_n(opened: Openings, public: PublicKey) -> bytes:
    body = opened.to_bytes(public)
    return b"\xff" * (public.modulus_bits // 8) + body[public.modulus_bits // 8 :]


def nothing(opened: Openings, public: PublicKey) -> bytes:
    return b""


CHANGES: list[Change] = [one_m, one_r, swapped, reordered, truncated, one_too_few, beyond_n, nothing]


def test_wrong_openings_are_refused_and_the_round_still_waits(start_paillier: StartPaillier, refused: Refusals) -> None:
    masked = start_paillier(FOUR[:3], model_name="edge-classifier", aggregation_method="FedAvg")
    assert masked.add().step == Step.OPEN
    holder = masked.holders[0]
    opened = holder.opened()
    assert len(opened.plaintexts) > 2
    for change in CHANGES:
        with refused(OpeningInvalid):
            holder.open(change(opened, holder.public))
        assert (masked.refresh().status, masked.training_round.step) == ("in_progress", Step.OPEN)
        assert not masked.training_round.opening_digest
    assert holder.open()
    assert masked.refresh().status == "aggregating"


def test_openings_of_something_else_are_refused(added: PaillierRound, refused: Refusals) -> None:
    holder = added.holders[0]
    update = encryption.parse(holder.public, added[holder.org_id].body(), holder.layout.ciphertexts)
    single = decryption.open_all(holder.held_key(), update)
    with refused(OpeningInvalid, "opening 0"):
        holder.open(single.to_bytes(holder.public))


def test_a_stranger_to_the_key_opens_nothing(added: PaillierRound, refused: Refusals) -> None:
    openings = added.holders[0].opened().to_bytes(added.holders[0].public)
    with refused(StepClosed, "goes on without"):
        added.stranger.open(openings)


def test_any_holder_can_open(added: PaillierRound) -> None:
    for holder in added.holders:
        with undone():
            assert holder.open()
            assert added.work().status == "verifying"
        assert added.refresh().step == Step.OPEN


def test_the_first_opening_counts_and_may_be_repeated(added: PaillierRound) -> None:
    first, second, _ = added.holders
    openings = first.opened()
    assert first.open()
    assert not first.open()
    n = first.public.n
    negated = replace(openings, randomizers=tuple(n - r for r in openings.randomizers)).to_bytes(first.public)
    with pytest.raises(AlreadyAnswered):
        first.open(negated)
    with pytest.raises(RoundClosed):
        second.open(openings.to_bytes(second.public))
    assert added.work().status == "verifying"
    assert not first.open()
    assert added.training_round.masking_messages.filter(step=Step.OPEN).count() == 1


def test_holders_are_asked_one_after_the_other(added: PaillierRound, clock: ManualClock) -> None:
    third = timedelta(seconds=added.holders[0].config.step_seconds) / 3

    def asked() -> list[str]:
        return [
            name for name in added.organizations if selectors.is_awaited(added.training_round, name, now=clock.now())
        ]

    names = [holder.org_id for holder in added.holders]
    for count in (1, 2, 3):
        assert asked() == sorted(names[:count])
        clock.advance(third - timedelta(milliseconds=1))
        assert asked() == sorted(names[:count])
        clock.advance(timedelta(milliseconds=1))


def test_a_sum_that_nobody_opens_ends_the_round_at_its_deadline(
    added: PaillierRound, clock: ManualClock, refused: Refusals
) -> None:
    first = added.holders[0]
    openings = first.opened().to_bytes(first.public)
    clock.advance(added.training_round.deadline - clock.now() - timedelta(seconds=1))
    rounds.close_collection(round_id=added.training_round.round_id, clock=clock)
    assert added.refresh().status == "in_progress"
    clock.advance(timedelta(seconds=1))
    with refused(StepClosed):
        first.open(openings)
    added.pass_deadline()
    assert (added.training_round.status, added.training_round.failure_code) == ("failed", "sum_not_opened")
    assert not Participant.objects.filter(status="missed").exists()
    with pytest.raises(RoundClosed):
        first.open(openings)


def test_a_round_that_waits_gives_the_worker_nothing_to_do_and_nobody_openings(
    added: PaillierRound, clock: ManualClock
) -> None:
    assert list(reconcile.due(clock=clock)) == []
    assert added.work().step == Step.OPEN
    with pytest.raises(StepClosed, match="has no openings"):
        selectors.opened_file(added.training_round.round_id, "org-a", openings=True)
    added.holders[0].open()
    assert selectors.opened_file(added.training_round.round_id, "org-a", openings=True)
