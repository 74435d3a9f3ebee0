"""An agent makes one key a round, encrypts under the true one only, and opens one set of sums with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from federation.agent.client import Coordinator
from federation.agent.errors import CheckFailed
from federation.agent.masking.book import MaskingBook
from federation.masking.round_key import RoundKey
from federation.masking.steps import Step
from flxdr.core import dsse
from privacy.paillier import decryption, encryption
from privacy.paillier.decryption import Openings
from privacy.paillier.keys import PrivateKey
from tests.agent.conftest import Bench
from tests.agent.masking.masking_coordinator import Answer
from tests.agent.masking.paillier_coordinator import PaillierCoordinator
from tests.support.paillier import MODULUS_BITS, own_key

Lie = Callable[[PaillierCoordinator], Answer | None]
MAKER, HOLDER, STRANGER = 0, 2, 3


def none(masking: PaillierCoordinator) -> None:
    return None


def of_the_other_maker(masking: PaillierCoordinator) -> Answer:
    return masking.round_key(masking.makers[1])


def the_coordinators_own(masking: PaillierCoordinator) -> Answer:
    statement = dsse.decode_base64(masking.round_key(masking.makers[0])["statement"], "statement")
    key = masking.bench.coordinator.key
    return masking.round_key(masking.makers[0]) | {
        "key_id": key.public.key_id,
        "signature": dsse.encode_base64(dsse.sign(key, dsse.ROUND_KEY_TYPE, statement)),
    }


def changed_after_signing(masking: PaillierCoordinator) -> Answer:
    maker, other = masking.makers
    changed = masking.round_key(maker, public=own_key(other).public.to_bytes())
    return masking.round_key(maker) | {"statement": changed["statement"]}


def signed_as_something_else(masking: PaillierCoordinator) -> Answer:
    maker = masking.makers[0]
    statement = dsse.decode_base64(masking.round_key(maker)["statement"], "statement")
    return masking.peers[maker].signed(statement, dsse.SURVIVORS_TYPE)


def in_the_name_of_another(masking: PaillierCoordinator) -> Answer:
    maker, other = masking.makers
    return masking.round_key(maker, org=other)


def of_another_round(masking: PaillierCoordinator) -> Answer:
    return masking.round_key(masking.makers[0], round_id="round-0")


def of_another_roster(masking: PaillierCoordinator) -> Answer:
    return masking.round_key(masking.makers[0], roster_hash="00" * 32)


def no_key(masking: PaillierCoordinator) -> Answer:
    return masking.round_key(masking.makers[0], public=bytes(own_key(masking.makers[0]).public.modulus_bits))


LIES: list[Lie] = [
    none,
    of_the_other_maker,
    the_coordinators_own,
    changed_after_signing,
    signed_as_something_else,
    in_the_name_of_another,
    of_another_round,
    of_another_roster,
    no_key,
]


def another_private_key(masking: PaillierCoordinator) -> Answer:
    maker, other = masking.makers
    return masking.round_key(maker, private=own_key(other))


def wrapped_for_nobody(masking: PaillierCoordinator) -> Answer:
    return masking.round_key(masking.makers[0], wrapped={})


def refuse_each(masking: PaillierCoordinator, lies: list[Lie]) -> None:
    masking.run(Step.SHARES)
    agent = masking.bench.open()
    for lie in lies:
        said = lie(masking)
        masking.lies["shares"] = lambda honest, said=said: honest | {"round_key": said}  # type: ignore[misc]
        with pytest.raises(CheckFailed):
            masking.run(Step.MASKED_INPUT, agent)
        assert not masking.posted["submit-gradient"], lie
    masking.lies.clear()
    masking.run(Step.MASKED_INPUT, agent)
    assert len(masking.posted["submit-gradient"]) == 1


def test_nobody_encrypts_under_a_substituted_key(four: Bench) -> None:
    refuse_each(PaillierCoordinator.place(four, STRANGER), LIES)


def test_a_holder_refuses_a_private_key_that_is_not_that_of_the_public_one(four: Bench) -> None:
    refuse_each(PaillierCoordinator.place(four, HOLDER), [another_private_key, wrapped_for_nobody])


def test_whoever_does_not_make_keys_sends_none(four: Bench) -> None:
    masking = PaillierCoordinator.place(four, HOLDER)
    masking.run(Step.SHARES)
    assert "round_key" not in masking.posted_shares()[0]


class Killed(BaseException):
    """The process is gone: no handler of its own runs."""


@pytest.mark.parametrize(
    ("owner", "name"), [(MaskingBook, "hold_key"), (MaskingBook, "tell"), (Coordinator, "post_bytes")]
)
def test_a_maker_hands_out_one_key_wherever_it_crashes(
    four: Bench, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    masking = PaillierCoordinator.place(four, MAKER)
    original, calls = getattr(owner, name), [0]

    def watched(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        calls[0] += 1
        if calls[0] == place:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, watched)
        for place in range(1, 4):
            calls[0] = 0
            with suppress(Killed):
                masking.run(Step.SHARES)
            if calls[0] < place:
                break
    assert place > 1
    assert calls[0] < place
    said = {str(shares["round_key"]) for shares in masking.posted_shares()}
    assert len(said) == 1
    statement = RoundKey.parse(dsse.decode_base64(masking.own_entry()["statement"], "statement"))
    held = masking.bench.open().state.masking.private_key(masking.config.round_id)
    assert held is not None
    assert PrivateKey.from_bytes(held, MODULUS_BITS).public.to_bytes() == statement.public_bytes


def test_a_holder_opens_one_set_of_sums(four: Bench) -> None:
    masking = PaillierCoordinator.place(four, HOLDER)
    public = own_key(masking.makers[0]).public
    for step in (Step.SHARES, Step.MASKED_INPUT, Step.CONSISTENCY, Step.UNMASK):
        masking.run(step)
    first, second = (encryption.encrypt(public, [number]) for number in (5, 6))
    for sums in (b"", first[:-1], first + first):
        masking.files = {"sums": sums}
        with pytest.raises(CheckFailed):
            masking.run(Step.OPEN)
    masking.files = {"sums": first}
    masking.run(Step.OPEN)
    masking.run(Step.OPEN)
    masking.files = {"sums": second}
    with pytest.raises(CheckFailed, match="another story"):
        masking.run(Step.OPEN)
    one, again = masking.posted["openings"]
    assert one == again
    opened = Openings.from_bytes(public, one, 1)
    assert opened.plaintexts == (5,)
    decryption.verify(public, encryption.parse(public, first, 1), opened)


def test_who_holds_no_key_opens_nothing(four: Bench) -> None:
    masking = PaillierCoordinator.place(four, STRANGER)
    for step in (Step.SHARES, Step.MASKED_INPUT):
        masking.run(step)
    with pytest.raises(CheckFailed, match="holds no key"):
        masking.run(Step.OPEN)
