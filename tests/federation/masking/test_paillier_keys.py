"""The coordinator takes keys from their makers only, for this round and its holders; and updates only if encrypted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.errors import RosterInvalid, StatementMalformed, UnknownKey
from federation.masking import ciphertexts
from federation.masking.steps import Step
from flxdr.core import dsse
from flxdr.core.keys import SignatureInvalid
from privacy.paillier.errors import CiphertextInvalid, KeyInvalid
from tests.federation.masking.conftest import NAMES, StartPaillier
from tests.federation.masking.refusals import Refusals
from tests.support.masking import MaskedRound
from tests.support.paillier import PaillierOrganization, PaillierRound, own_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def sharing(start_paillier: StartPaillier) -> PaillierRound:
    """Four that have advertised."""
    masked = start_paillier(NAMES[:4])
    masked.answer(Step.ADVERTISE)
    return masked


def wrapped(maker: PaillierOrganization, *holders: str) -> dict[str, bytes]:
    return {holder: dsse.decode_base64(maker.wrapped(holder), "wrapped") for holder in sorted(holders)}


def test_a_key_for_others_than_its_holders_is_refused(sharing: PaillierRound, refused: Refusals) -> None:
    maker, *others = sharing.makers
    names = {holder.org_id for holder in sharing.holders} - {maker.org_id}
    for chosen in (names - {others[0].org_id}, names | {sharing.stranger.org_id}, {sharing.stranger.org_id}, set()):
        with refused(RosterInvalid, "other holders"):
            maker.share(round_key=maker.round_key(wrapped=wrapped(maker, *chosen)))


def test_a_key_for_something_else_is_refused(sharing: PaillierRound, refused: Refusals) -> None:
    maker, second = sharing.makers
    for changes in ({"round_id": "round-0"}, {"roster_hash": "00" * 32}, {"org": second.org_id}):
        with refused(RosterInvalid, "another round"):
            maker.share(round_key=maker.round_key(**changes))
    other = second.round_key()
    with refused(RosterInvalid, "another round"):
        maker.share(round_key=other)


def test_a_key_that_is_none_is_refused(sharing: PaillierRound, refused: Refusals) -> None:
    maker = sharing.makers[0]
    data = own_key(maker.org_id).public.to_bytes()
    width = sharing.makers[0].config.modulus_bits // 8
    squared = (int.from_bytes(data[:width]) - 2).to_bytes(width) + data[width:]
    for wrong in (data[:-1], data + data[:width], bytes(len(data)), squared):
        with refused(KeyInvalid):
            maker.share(round_key=maker.round_key(public=wrong))
    with refused(StatementMalformed):
        maker.share(round_key=maker.signed(b"{}", dsse.ROUND_KEY_TYPE))


def test_a_key_needs_its_makers_signature(sharing: PaillierRound, refused: Refusals) -> None:
    maker, second = sharing.makers
    honest = maker.round_key()
    with refused(SignatureInvalid):
        maker.share(round_key=replace(honest, signature=bytes(len(honest.signature))))
    with refused(SignatureInvalid):
        maker.share(round_key=maker.signed(honest.statement, dsse.SURVIVORS_TYPE))
    with refused(UnknownKey):
        maker.share(round_key=second.signed(honest.statement, dsse.ROUND_KEY_TYPE))
    assert maker.share(round_key=honest)


def test_only_makers_hand_out_a_key(sharing: PaillierRound, refused: Refusals) -> None:
    key = sharing.makers[0].round_key()
    with refused(RosterInvalid, "sends a round key"):
        sharing.stranger.share(round_key=key)
    third = sharing.holders[2]
    with refused(RosterInvalid, "sends a round key"):
        third.share(round_key=third.round_key())


def test_a_maker_hands_out_its_key(sharing: PaillierRound, refused: Refusals, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = sharing.makers[0]
    with monkeypatch.context() as patch:
        patch.setattr(maker, "round_key", lambda: None)
        with refused(RosterInvalid, "sends no round key"):
            maker.share()


def test_a_round_that_encrypts_nothing_takes_no_key(masked: MaskedRound, refused: Refusals, env: Any) -> None:
    masked.answer(Step.ADVERTISE)
    each = masked["org-a"]
    keyed = PaillierOrganization(each.organization, each.training_round, each.update)
    with refused(RosterInvalid, "sends a round key"):
        keyed.share(round_key=keyed.round_key())


def test_what_is_no_ciphertext_is_refused_before_it_is_added(sharing: PaillierRound, refused: Refusals) -> None:
    sharing.answer(Step.SHARES)
    each = sharing["org-a"]
    honest, width = each.body(), each.layout.ciphertext_bytes
    own, n = own_key(sharing.makers[0].org_id), each.public.n
    assert own.public.n == n
    outside = [0, n, int(own.p), int(own.q) * 5, n * n, n * n + 1, 2 ** (8 * width) - 1]
    for number in outside:
        with refused(CiphertextInvalid, "ciphertext 0 is not in"):
            each.submit(each.received(number.to_bytes(width) + honest[width:]))
    for body in (honest[:-1], honest + bytes(1), honest + honest[:width], b""):
        with refused(CiphertextInvalid, "bytes of ciphertexts"):
            each.submit(each.received(body))
    assert each.submit(each.received(honest)).organization.org_id == "org-a"


def test_the_key_that_counts_is_the_first_that_was_shared(sharing: PaillierRound) -> None:
    sharing.answer(Step.SHARES)
    first, second = sharing.makers
    assert first.public == own_key(first.org_id).public != own_key(second.org_id).public
    assert [holder.held_key().public == first.public for holder in sharing.holders] == [True] * ciphertexts.HOLDERS
    with pytest.raises(KeyError):
        sharing.stranger.held_key()
