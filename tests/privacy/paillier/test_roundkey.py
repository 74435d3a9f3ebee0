"""A wrapped round key opens for whom it was made, in its round, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from privacy.paillier.errors import RoundKeyInvalid
from privacy.paillier.keys import PrivateKey
from privacy.paillier.roundkey import unwrap, wrap
from tests.privacy.paillier.conftest import BITS

ALPHA, BETA = X25519PrivateKey.generate(), X25519PrivateKey.generate()
SHARED = ALPHA.exchange(BETA.public_key())
RIGHT: dict[str, Any] = {"shared": SHARED, "context": b"round 7", "org_from": "org-alpha", "org_to": "org-beta"}


def test_the_other_organisation_gets_the_key(private: PrivateKey) -> None:
    wrapped = wrap(private.to_bytes(), **RIGHT)
    opened = unwrap(wrapped, **RIGHT | {"shared": BETA.exchange(ALPHA.public_key())})
    assert PrivateKey.from_bytes(opened, BITS).public == private.public


@pytest.mark.parametrize(
    "change",
    [
        {"shared": BETA.exchange(X25519PrivateKey.generate().public_key())},
        {"context": b"round 8"},
        {"context": b""},
        {"org_from": "org-gamma"},
        {"org_to": "org-gamma"},
        {"org_from": "org-beta", "org_to": "org-alpha"},
        {"org_from": "org-alphaorg", "org_to": "-beta"},
        {"context": b"round 7org-", "org_from": "alpha"},
    ],
)
def test_it_opens_nowhere_else(change: dict[str, Any]) -> None:
    wrapped = wrap(b"the primes", **RIGHT)
    with pytest.raises(RoundKeyInvalid):
        unwrap(wrapped, **RIGHT | change)


def test_a_changed_or_cut_one_does_not_open() -> None:
    wrapped = wrap(b"the primes", **RIGHT)
    flipped = [wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :] for at in range(len(wrapped))]
    for wrong in (*flipped, wrapped[:-1], wrapped + b"\0", wrapped[:12], wrapped[:3], b""):
        with pytest.raises(RoundKeyInvalid):
            unwrap(wrong, **RIGHT)


def test_parts_of_two_wrapped_keys_do_not_go_together() -> None:
    first, second = wrap(b"the primes", **RIGHT), wrap(b"the primes", **RIGHT)
    with pytest.raises(RoundKeyInvalid):
        unwrap(first[:12] + second[12:], **RIGHT)


def test_the_key_does_not_show_and_never_looks_the_same(private: PrivateKey) -> None:
    wrapped = [wrap(private.to_bytes(), **RIGHT) for _ in range(2)]
    assert wrapped[0][12:] != wrapped[1][12:]
    for one in wrapped:
        assert int(private.p).to_bytes(BITS // 16) not in one
