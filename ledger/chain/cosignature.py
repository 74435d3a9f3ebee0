"""Cosignatures: a witness's word that a checkpoint continues all that it saw before (c2sp.org/tlog-cosignature).

Each organisation's agent is a witness. It has an Ed25519 key of its own, named `flxdr/<chain id>/<organisation>`, and
a statement that the organisation's key on the chain signs says whose key it is. A cosignature covers

    cosignature/v1
    time <Unix seconds>
    <the checkpoint's text>

and stands in the note as a signature line: key hash, the time in eight bytes, the Ed25519 signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flxdr.core import canonical, dsse
from flxdr.core.errors import FlxdrError, Malformed
from flxdr.core.keys import PrivateKey, PublicKey, SignatureInvalid
from ledger.chain import checkpoint as notes
from ledger.chain.checkpoint import CheckpointMalformed, NoteSignature, SignedCheckpoint, origin_of

KIND = b"\x04"
"""What tells witnesses' keys from logs' in key hashes and verifier keys."""
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64


class CosignatureMalformed(Malformed):
    """A line that is no timestamped Ed25519 cosignature."""

    code = "malformed_cosignature"
    title = "Malformed cosignature"


def witness_name(chain_id: str, org_id: str) -> str:
    """The name of an organisation's witness of that chain."""
    return f"{origin_of(chain_id)}/{org_id}"


def cosign(text: bytes, name: str, key: PrivateKey, *, time: int) -> NoteSignature:
    """Cosign a checkpoint.

    Args:
        text: of the note, without its signatures.
        time: Unix seconds at which the witness compared the checkpoint with what it had seen.
    """
    signature = key.sign(_message(text, time))
    key_hash = notes.key_hash(name, key.public, kind=KIND)
    return NoteSignature(name, key_hash, time.to_bytes(_TIME_BYTES, "big") + signature)


def verify(text: bytes, cosignature: NoteSignature, name: str, key: PublicKey) -> int:
    """The time of a witness's cosignature of that text, once it holds.

    Raises:
        CosignatureMalformed: another key's, or no cosignature.
        SignatureInvalid: the witness did not sign this checkpoint.
    """
    if (cosignature.name, cosignature.key_hash) != (name, notes.key_hash(name, key, kind=KIND)):
        raise CosignatureMalformed(
            f"the line is {cosignature.name}'s, or of another key",
            expected=f"a cosignature of {notes.verifier_key(name, key, kind=KIND)}",
        )
    if len(cosignature.signature) != _TIME_BYTES + _SIGNATURE_BYTES:
        raise CosignatureMalformed("a cosignature of another length", expected="a time and an Ed25519 signature")
    time = int.from_bytes(cosignature.signature[:_TIME_BYTES], "big")
    key.verify(cosignature.signature[_TIME_BYTES:], _message(text, time))
    return time


def witness_key_statement(chain_id: str, org_id: str, key: PublicKey) -> bytes:
    """What an organisation signs (type `dsse.WITNESS_KEY_TYPE`): that this key is its witness's."""
    verifier_key = notes.verifier_key(witness_name(chain_id, org_id), key, kind=KIND)
    return canonical.encode({"v": 1, "chain_id": chain_id, "org_id": org_id, "witness_key": verifier_key})


@dataclass(frozen=True)
class Witness:
    """A witness, the id of its organisation's key that vouches for it, and that key's signature of the statement."""

    org_id: str
    name: str
    key: PublicKey
    vouched_by: str
    voucher: bytes

    @property
    def verifier_key(self) -> str:
        return notes.verifier_key(self.name, self.key, kind=KIND)


def endorsed_witness(
    envelope: dsse.Envelope, members: Mapping[str, Mapping[str, PublicKey]], *, chain_id: str
) -> Witness:
    """The witness that a statement names, once its organisation's key vouches for it.

    Args:
        members: keys in force by organisation and key id.

    Raises:
        Malformed: no statement about a witness of this chain.
        SignatureInvalid: no key in force of the organisation that it names signed it.
    """
    if envelope.payload_type != dsse.WITNESS_KEY_TYPE:
        raise CheckpointMalformed("the envelope holds no witness key", expected=dsse.WITNESS_KEY_TYPE)
    document = canonical.decode(envelope.payload)
    stated = document if isinstance(document, dict) else {}
    org_id, verifier_key = _text(stated, "org_id"), _text(stated, "witness_key")
    _, key = notes.parse_verifier_key(verifier_key, kind=KIND)
    if envelope.payload != witness_key_statement(chain_id, org_id, key):
        raise CheckpointMalformed("the statement is about another witness", expected=witness_name(chain_id, org_id))
    own = members.get(org_id, {})
    for key_id, signature in envelope.signatures:
        if key_id in own:
            dsse.verify(own[key_id], signature, envelope.payload_type, envelope.payload)
            return Witness(org_id, witness_name(chain_id, org_id), key, key_id, signature)
    raise SignatureInvalid(f"no key of {org_id} in force on the chain signed the statement of its witness's key")


def cosigners(
    signed: SignedCheckpoint,
    statements: Iterable[dsse.Envelope],
    members: Mapping[str, Mapping[str, PublicKey]],
    *,
    chain_id: str,
) -> tuple[list[str], list[str]]:
    """The members whose witnesses cosigned that note, and those whose cosignatures in it are not over it.

    Args:
        statements: of the witnesses' keys. Those that no key in force vouches for say nothing.
        members: keys in force by organisation and key id.
    """
    lines = {line.name: line for line in signed.signatures}
    good: set[str] = set()
    bad: set[str] = set()
    for statement in statements:
        try:
            witness = endorsed_witness(statement, members, chain_id=chain_id)
        except FlxdrError:
            continue
        line = lines.get(witness.name)
        if line is None:
            continue
        try:
            verify(signed.text, line, witness.name, witness.key)
            good.add(witness.org_id)
        except (Malformed, SignatureInvalid):
            bad.add(witness.org_id)
    return sorted(good), sorted(bad - good)


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise CheckpointMalformed(f"the statement holds no {name}", expected="{v, chain_id, org_id, witness_key}")
    return value


def _message(text: bytes, time: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % time + text
