"""Checkpoints: what a log commits itself to, as C2SP writes it (c2sp.org/tlog-checkpoint and c2sp.org/signed-note).

    flxdr/<chain id>
    <number of blocks>
    <base64 of the RFC 6962 tree head over their header bytes>

    — flxdr/<chain id> <base64 of key hash and Ed25519 signature>

Whoever keeps one can show later that the coordinator rewrote, shortened or forked the chain. The log signs with a key
of its own, since the format knows no ML-DSA; a statement that the coordinator's key on the chain signs names that key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flxdr.core import canonical, dsse
from flxdr.core.dsse import decode_base64, encode_base64
from flxdr.core.errors import Invalid, Malformed
from flxdr.core.keys import Algorithm, KeyInvalid, PrivateKey, PublicKey, SignatureInvalid

PROOF_FORMAT = "c2sp.org/tlog-proof@v1"
HASH_BYTES = 32
KEY_HASH_BYTES = 4
LARGEST_NOTE = 1 << 20
"""Bytes: a note is read before its signature is known to hold."""
_ED25519 = b"\x01"
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""RFC 8410: SubjectPublicKeyInfo of an Ed25519 key is this and the 32 bytes of the key."""
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\Z")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,15})\Z", re.ASCII)


class CheckpointMalformed(Malformed):
    """A text that is no checkpoint."""

    code = "malformed_checkpoint"
    title = "Malformed checkpoint"


class CheckpointUnsigned(Invalid):
    """A checkpoint without the log's signature."""

    code = "checkpoint_unsigned"
    title = "Checkpoint not signed by the log"


def origin_of(chain_id: str) -> str:
    """The log's name: no two chains share a genesis hash."""
    return f"flxdr/{chain_id}"


@dataclass(frozen=True)
class Checkpoint:
    """A size of the chain and the tree head over its first `size` header bytes."""

    origin: str
    size: int
    root: bytes

    def body(self) -> bytes:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n".encode()

    def as_json(self) -> dict[str, Any]:
        return {"origin": self.origin, "size": self.size, "root_hash": self.root.hex()}


@dataclass(frozen=True)
class NoteSignature:
    """One signature line. Lines of unknown names are other people's, witnesses' for instance."""

    name: str
    key_hash: bytes
    signature: bytes

    def line(self) -> str:
        return f"— {self.name} {encode_base64(self.key_hash + self.signature)}\n"


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint with its signatures; `text` holds the bytes that they cover."""

    checkpoint: Checkpoint
    text: bytes
    signatures: Sequence[NoteSignature]

    def encode(self) -> bytes:
        """The note."""
        return self.text + b"\n" + "".join(signature.line() for signature in self.signatures).encode()


def key_hash(name: str, key: PublicKey, *, kind: bytes = _ED25519) -> bytes:
    """The four bytes that tell keys of one name apart: SHA-256(name || 0x0A || kind || key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + kind + _raw(key)).digest()[:KEY_HASH_BYTES]


def verifier_key(name: str, key: PublicKey, *, kind: bytes = _ED25519) -> str:
    """The key as other C2SP tools take it: `<name>+<key hash>+<base64 of kind and key>`."""
    return f"{name}+{key_hash(name, key, kind=kind).hex()}+{encode_base64(kind + _raw(key))}"


def parse_verifier_key(text: str, *, kind: bytes = _ED25519) -> tuple[str, PublicKey]:
    """Name and key of a verifier key.

    Raises:
        CheckpointMalformed: another form, or a key hash that is not the key's.
    """
    expected = "<name>+<8 hex digits>+<base64>"
    name, _, rest = text.strip().partition("+")
    stated, _, encoded = rest.partition("+")
    try:
        data = decode_base64(encoded, "the verifier key")
        if len(data) != 1 + HASH_BYTES or data[:1] != kind:
            raise CheckpointMalformed(f"the verifier key is no Ed25519 key of kind {kind.hex()}", expected=expected)
        key = PublicKey.from_spki(_SPKI_PREFIX + data[1:])
    except (Malformed, KeyInvalid) as error:
        raise CheckpointMalformed(f"the verifier key cannot be read: {error.detail}", expected=expected) from error
    hash_ = key_hash(name, key, kind=kind).hex()
    if not name or hash_ != stated:
        raise CheckpointMalformed("the verifier key's hash is not its key's", expected=hash_)
    return name, key


def sign(checkpoint: Checkpoint, key: PrivateKey) -> SignedCheckpoint:
    """The checkpoint as a note that the log signed. Ed25519: the same checkpoint always gives the same note."""
    body = checkpoint.body()
    signature = NoteSignature(checkpoint.origin, key_hash(checkpoint.origin, key.public), key.sign(body))
    return SignedCheckpoint(checkpoint, body, [signature])


def parse(note: bytes) -> SignedCheckpoint:
    """Read a note; no signature is checked. Extension lines after the head are covered by the signatures and ignored.

    Raises:
        CheckpointMalformed: no signed note, or no checkpoint in it.
    """
    if len(note) > LARGEST_NOTE:
        raise CheckpointMalformed("the note is too long", expected=f"at most {LARGEST_NOTE} bytes")
    try:
        content = note.decode()
    except UnicodeDecodeError as error:
        raise CheckpointMalformed("the note is no UTF-8") from error
    if any(ord(character) < 0x20 and character != "\n" for character in content):
        raise CheckpointMalformed("the note holds a control character", expected="line feeds only")
    text, blank, rest = content.rpartition("\n\n")
    if not blank or not rest.endswith("\n"):
        raise CheckpointMalformed("the note has no signatures", expected="an empty line, then signature lines")
    signatures = [parse_signature(line) for line in rest[:-1].split("\n")]
    return SignedCheckpoint(_checkpoint(text), f"{text}\n".encode(), signatures)


def parse_signature(line: str) -> NoteSignature:
    """Read a signature line without its line end.

    Raises:
        CheckpointMalformed: no signature line.
    """
    match = _SIGNATURE.match(line)
    if match is None:
        raise CheckpointMalformed("a line is no signature", expected="— <name> <base64>")
    data = decode_base64(match[2], "a signature")
    if len(data) <= KEY_HASH_BYTES:
        raise CheckpointMalformed("a signature is too short", expected="four bytes of key hash and a signature")
    return NoteSignature(match[1], data[:KEY_HASH_BYTES], data[KEY_HASH_BYTES:])


def verify(note: bytes, key: PublicKey, *, origin: str) -> Checkpoint:
    """The checkpoint of a note, once the log's signature holds.

    Args:
        key: the log's.
        origin: `origin_of` the pinned genesis hash.

    Raises:
        CheckpointMalformed: no checkpoint, or another log's.
        CheckpointUnsigned: no signature names the key.
        flxdr.core.keys.SignatureInvalid: the signature does not verify.
    """
    signed = parse(note)
    if signed.checkpoint.origin != origin:
        raise CheckpointMalformed(f"the checkpoint is of {signed.checkpoint.origin}", expected=origin)
    named = (origin, key_hash(origin, key))
    found = [each.signature for each in signed.signatures if (each.name, each.key_hash) == named]
    if not found:
        raise CheckpointUnsigned("no signature is the log's", expected=f"a signature of {verifier_key(origin, key)}")
    for signature in found:
        key.verify(signature, signed.text)
    return signed.checkpoint


def log_key_statement(chain_id: str, key: PublicKey) -> bytes:
    """What the coordinator signs (type `dsse.LOG_KEY_TYPE`): that this key signs the chain's checkpoints."""
    origin = origin_of(chain_id)
    return canonical.encode({"v": 1, "chain_id": chain_id, "origin": origin, "log_key": verifier_key(origin, key)})


def endorsed_log_key(envelope: dsse.Envelope, coordinator: PublicKey, *, chain_id: str) -> PublicKey:
    """The log's key, once the coordinator's key that the chain records vouches for it.

    Raises:
        Malformed: no statement about this chain's log.
        flxdr.core.keys.SignatureInvalid: the coordinator's key did not sign it.
    """
    if envelope.payload_type != dsse.LOG_KEY_TYPE:
        raise CheckpointMalformed("the envelope holds no log key", expected=dsse.LOG_KEY_TYPE)
    signatures = [signature for key_id, signature in envelope.signatures if key_id == coordinator.key_id]
    if not signatures:
        raise SignatureInvalid("the coordinator's key signed no statement of the log's key", key_id=coordinator.key_id)
    dsse.verify(coordinator, signatures[0], envelope.payload_type, envelope.payload)
    document = canonical.decode(envelope.payload)
    stated = document.get("log_key") if isinstance(document, dict) else None
    if not isinstance(stated, str):
        raise CheckpointMalformed("the statement names no key", expected="{v, chain_id, origin, log_key}")
    _, key = parse_verifier_key(stated)
    if envelope.payload != log_key_statement(chain_id, key):
        raise CheckpointMalformed("the statement is about another log", expected=origin_of(chain_id))
    return key


@dataclass(frozen=True)
class TlogProof:
    """That a block is in the log, in one file (c2sp.org/tlog-proof): its height, an inclusion proof, a checkpoint."""

    index: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        hashes = "".join(f"{encode_base64(node)}\n" for node in self.proof)
        return f"{PROOF_FORMAT}\nindex {self.index}\n{hashes}\n".encode() + self.note

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """Read the file; nothing is verified. An `extra` line is skipped.

        Raises:
            CheckpointMalformed: another format.
        """
        head, blank, note = data[:LARGEST_NOTE].partition(b"\n\n")
        try:
            lines = head.decode().split("\n")
        except UnicodeDecodeError as error:
            raise CheckpointMalformed("the proof is no UTF-8") from error
        if not blank or lines[0] != PROOF_FORMAT:
            raise CheckpointMalformed("the file is no tlog proof", expected=PROOF_FORMAT)
        rest = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
        word, _, number = rest[0].partition(" ") if rest else ("", "", "")
        if word != "index" or not _SIZE.match(number):
            raise CheckpointMalformed("the proof names no index", expected="index <height>")
        return cls(int(number), tuple(_hash(line) for line in rest[1:]), note)


def _checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) < 3 or not all(lines) or not _SIZE.match(lines[1]):
        raise CheckpointMalformed("the note holds no checkpoint", expected="origin, size and root, a line each")
    return Checkpoint(lines[0], int(lines[1]), _hash(lines[2]))


def _hash(text: str) -> bytes:
    data = decode_base64(text, "a hash")
    if len(data) != HASH_BYTES:
        raise CheckpointMalformed(f"a hash of {len(data)} bytes", expected=f"{HASH_BYTES} bytes")
    return data


def _raw(key: PublicKey) -> bytes:
    if key.algorithm is not Algorithm.ED25519:
        raise KeyInvalid(f"a log signs with Ed25519, not {key.algorithm}", expected="an Ed25519 key")
    return key.spki[len(_SPKI_PREFIX) :]
