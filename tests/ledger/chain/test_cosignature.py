"""Cosignatures byte by byte as C2SP writes them, and whose word makes a key a witness's."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flxdr.core import canonical, dsse
from flxdr.core.dsse import Envelope
from flxdr.core.errors import Malformed
from flxdr.core.keys import Algorithm, PrivateKey, SignatureInvalid
from ledger.chain import checkpoint as notes
from ledger.chain import cosignature as cosignatures
from ledger.chain.checkpoint import Checkpoint
from tests.ledger.chains import hash_of, key_of
from tests.ledger.checkpoints import cosigning

CHAIN = hash_of("genesis")
NAME = f"flxdr/{CHAIN}/org-a"
TEXT = Checkpoint(f"flxdr/{CHAIN}", 6, hashlib.sha256(b"root").digest()).body()
WITNESS = key_of("witness of org-a")
MEMBER = key_of("org-a")
MEMBERS = {"org-a": {MEMBER.public.key_id: MEMBER.public}, "org-b": {}}
TIME = 1_800_000_000


def test_the_bytes_of_a_cosignature() -> None:
    line = cosignatures.cosign(TEXT, NAME, WITNESS, time=TIME).line()
    raw = WITNESS.public.spki[-32:]
    identity = hashlib.sha256(NAME.encode() + b"\n\x04" + raw).digest()[:4]
    signature = WITNESS.sign(b"cosignature/v1\ntime 1800000000\n" + TEXT)
    expected = b64encode(identity + TIME.to_bytes(8, "big") + signature).decode()
    assert line == f"\u2014 {NAME} {expected}\n"
    verifier = b64encode(b"\x04" + raw).decode()
    assert notes.verifier_key(NAME, WITNESS.public, kind=cosignatures.KIND) == f"{NAME}+{identity.hex()}+{verifier}"


def test_a_note_with_cosignatures_is_still_the_logs() -> None:
    signed = notes.sign(notes.parse(TEXT + b"\n\xe2\x80\x94 x AAAAAAA=\n").checkpoint, key_of("log"))
    cosigned = replace(
        signed, signatures=[*signed.signatures, cosignatures.cosign(TEXT, NAME, WITNESS, time=TIME)]
    ).encode()
    assert notes.verify(cosigned, key_of("log").public, origin=f"flxdr/{CHAIN}") == signed.checkpoint
    _, theirs = notes.parse(cosigned).signatures
    assert cosignatures.verify(TEXT, theirs, NAME, WITNESS.public) == TIME


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: replace(c, name=f"{NAME}x"), Malformed),
        (lambda c: replace(c, key_hash=bytes(4)), Malformed),
        (lambda c: replace(c, signature=c.signature[:-1]), Malformed),
        (lambda c: replace(c, signature=(TIME + 1).to_bytes(8, "big") + c.signature[8:]), SignatureInvalid),
        (lambda c: replace(c, signature=c.signature[:8] + bytes(64)), SignatureInvalid),
        (lambda c: cosignatures.cosign(TEXT.replace(b"\n6\n", b"\n7\n"), NAME, WITNESS, time=TIME), SignatureInvalid),
        (lambda c: replace(c, signature=c.signature[:8] + WITNESS.sign(TEXT)), SignatureInvalid),
    ],
    ids=["name", "key", "length", "time", "zeros", "another checkpoint", "plain note signature"],
)
def test_what_is_no_cosignature(change: Callable[[Any], Any], error: type[Exception]) -> None:
    cosignature = cosignatures.cosign(TEXT, NAME, WITNESS, time=TIME)
    with pytest.raises(error):
        cosignatures.verify(TEXT, change(cosignature), NAME, WITNESS.public)


def envelope(*, org_id: str = "org-a", chain_id: str = CHAIN, org_key: PrivateKey = MEMBER) -> Envelope:
    document = cosigning(chain_id, org_id, TEXT, org_key=org_key, witness=WITNESS)
    return Envelope.from_json(document["witness_key_statement"])


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_an_organisations_key_vouches_for_its_witness(algorithm: Algorithm) -> None:
    key = key_of("org-a", algorithm)
    members = {"org-a": {key.public.key_id: key.public}}
    witness = cosignatures.endorsed_witness(envelope(org_key=key), members, chain_id=CHAIN)
    assert (witness.org_id, witness.name, witness.key) == ("org-a", NAME, WITNESS.public)
    assert witness.vouched_by == key.public.key_id


def restated(**changes: Any) -> Envelope:
    statement = canonical.decode(envelope().payload)
    assert isinstance(statement, dict)
    payload = canonical.encode({**statement, **changes})
    return Envelope(
        dsse.WITNESS_KEY_TYPE, payload, [(MEMBER.public.key_id, dsse.sign(MEMBER, dsse.WITNESS_KEY_TYPE, payload))]
    )


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (envelope(org_key=key_of("org-z")), SignatureInvalid),
        (envelope(org_id="org-b"), SignatureInvalid),
        (envelope(org_id="org-z"), SignatureInvalid),
        (replace(envelope(), signatures=[(MEMBER.public.key_id, bytes(64))]), SignatureInvalid),
        (replace(envelope(), signatures=[]), SignatureInvalid),
        (replace(envelope(), payload_type=dsse.LOG_KEY_TYPE), Malformed),
        (envelope(chain_id=hash_of("other")), Malformed),
        (restated(v=2), Malformed),
        (restated(witness_key="x"), Malformed),
        (restated(witness_key=notes.verifier_key(NAME, WITNESS.public)), Malformed),
        (restated(witness_key=notes.verifier_key(f"{NAME}b", WITNESS.public, kind=cosignatures.KIND)), Malformed),
        (restated(org_id=1), Malformed),
        (restated(more=1), Malformed),
    ],
)  # fmt: skip
def test_what_makes_nobody_a_witness(statement: Envelope, error: type[Exception]) -> None:
    with pytest.raises(error):
        cosignatures.endorsed_witness(statement, MEMBERS, chain_id=CHAIN)


class TestWhoCosigned:
    def note(self, *posted: dict[str, Any]) -> notes.SignedCheckpoint:
        signed = notes.sign(notes.parse(TEXT + b"\n\xe2\x80\x94 x AAAAAAA=\n").checkpoint, key_of("log"))
        return notes.parse(signed.encode() + "".join(f"{each['cosignature']}\n" for each in posted).encode())

    def found(self, *posted: dict[str, Any], note: notes.SignedCheckpoint | None = None) -> tuple[list[str], list[str]]:
        statements = [Envelope.from_json(each["witness_key_statement"]) for each in posted]
        members = {name: {key.key_id: key} for name in ("org-a", "org-b") for key in [key_of(name).public]}
        return cosignatures.cosigners(note or self.note(*posted), statements, members, chain_id=CHAIN)

    def test_every_member_counts_once(self) -> None:
        both = [cosigning(CHAIN, name, TEXT, org_key=key_of(name)) for name in ("org-b", "org-a")]
        assert self.found(*both, both[0]) == (["org-a", "org-b"], [])

    def test_a_key_that_is_not_in_force_says_nothing(self) -> None:
        assert self.found(cosigning(CHAIN, "org-a", TEXT, org_key=key_of("org-a, before"))) == ([], [])
        assert self.found(cosigning(CHAIN, "org-z", TEXT, org_key=key_of("org-z"))) == ([], [])

    def test_a_statement_without_a_line_says_nothing(self) -> None:
        assert self.found(cosigning(CHAIN, "org-a", TEXT, org_key=MEMBER), note=self.note()) == ([], [])

    def test_a_line_over_another_text_is_named(self) -> None:
        other = cosigning(CHAIN, "org-a", TEXT.replace(b"\n6\n", b"\n5\n"), org_key=MEMBER)
        assert self.found(other) == ([], ["org-a"])
