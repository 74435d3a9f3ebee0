"""Checkpoints and proof files, byte by byte as C2SP writes them."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.core import canonical, dsse
from flxdr.core.errors import Malformed
from flxdr.core.keys import Algorithm, KeyInvalid, SignatureInvalid
from ledger.chain import checkpoint as checkpoints
from ledger.chain.checkpoint import Checkpoint, CheckpointMalformed, CheckpointUnsigned, TlogProof
from tests.ledger.chains import hash_of, key_of

CHAIN = hash_of("genesis")
ORIGIN = f"flxdr/{CHAIN}"
ROOT = hashlib.sha256(b"root").digest()
KEY = key_of("log")
CHECKPOINT = Checkpoint(ORIGIN, 6, ROOT)
NOTE = checkpoints.sign(CHECKPOINT, KEY).encode()


def test_the_bytes_of_a_note() -> None:
    raw = KEY.public.spki[-32:]
    body = f"flxdr/{CHAIN}\n6\n{b64encode(ROOT).decode()}\n".encode()
    identity = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + raw).digest()[:4]
    signature = b64encode(identity + KEY.sign(body)).decode()
    assert body + f"\n\u2014 {ORIGIN} {signature}\n".encode() == NOTE
    verifier = b64encode(b"\x01" + raw).decode()
    assert checkpoints.verifier_key(ORIGIN, KEY.public) == f"{ORIGIN}+{identity.hex()}+{verifier}"


def test_the_published_example_of_a_verifier_key() -> None:
    """golang.org/x/mod/sumdb/note, the package that the format comes from, documents this key."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, key = checkpoints.parse_verifier_key(text)
    assert checkpoints.verifier_key(name, key) == text
    signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    data = dsse.decode_base64(signature, "signature")
    assert data[:4].hex() == "c74f20a3"
    key.verify(
        data[4:],
        b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
    )


def test_the_same_checkpoint_gives_the_same_note() -> None:
    assert checkpoints.sign(CHECKPOINT, KEY).encode() == NOTE


def test_what_was_signed_is_read_back() -> None:
    assert checkpoints.verify(NOTE, KEY.public, origin=ORIGIN) == CHECKPOINT
    assert checkpoints.parse(NOTE).encode() == NOTE


def test_other_signatures_stand_beside_the_logs() -> None:
    witness = "— witness.example/w " + b64encode(bytes(76)).decode() + "\n"
    assert checkpoints.verify(NOTE + witness.encode(), KEY.public, origin=ORIGIN) == CHECKPOINT
    parsed = checkpoints.parse(NOTE + witness.encode())
    assert [each.name for each in parsed.signatures] == [ORIGIN, "witness.example/w"]
    assert parsed.encode() == NOTE + witness.encode()


def test_extension_lines_are_covered_by_the_signature() -> None:
    body = CHECKPOINT.body() + b"extension\n"
    line = checkpoints.NoteSignature(ORIGIN, checkpoints.key_hash(ORIGIN, KEY.public), KEY.sign(body)).line()
    note = body + b"\n" + line.encode()
    assert checkpoints.verify(note, KEY.public, origin=ORIGIN) == CHECKPOINT
    with pytest.raises(SignatureInvalid):
        checkpoints.verify(note.replace(b"extension", b"another"), KEY.public, origin=ORIGIN)


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace(b"\n6\n", b"\n7\n"),
        lambda note: note.replace(b64encode(ROOT), b64encode(bytes(32))),
    ],
    ids=["size", "root"],
)
def test_a_changed_note_is_not_signed(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SignatureInvalid):
        checkpoints.verify(change(NOTE), KEY.public, origin=ORIGIN)


def test_another_key_or_log() -> None:
    with pytest.raises(CheckpointUnsigned):
        checkpoints.verify(NOTE, key_of("another").public, origin=ORIGIN)
    with pytest.raises(CheckpointMalformed):
        checkpoints.verify(NOTE, KEY.public, origin=checkpoints.origin_of(hash_of("other")))


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff\xfe\n\n",
        NOTE[:-1],
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.replace(b"\n6\n", b"\n06\n"),
        NOTE.replace(b"\n6\n", b"\n-6\n"),
        NOTE.replace(b"\n6\n", "\n\u0666\n".encode()),
        NOTE.replace(b"\n6\n", b"\n\n6\n"),
        NOTE.replace(b"\n6\n", b"\n6\r\n"),
        NOTE.replace(b64encode(ROOT), b64encode(ROOT[:31])),
        NOTE.replace(b64encode(ROOT), b64encode(ROOT).rstrip(b"=")),
        NOTE.replace("—".encode(), b"-"),
        NOTE + b"\n",
        NOTE + "— short QUJD\n".encode(),
        NOTE + "— no base64!\n".encode(),
        b"\n" + NOTE,
        bytes(checkpoints.LARGEST_NOTE + 1),
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(note: bytes) -> None:
    with pytest.raises(Malformed):
        checkpoints.parse(note)


@given(st.binary(max_size=300))
def test_reading_never_breaks(data: bytes) -> None:
    for read in (checkpoints.parse, TlogProof.parse):
        try:
            read(data)
        except Malformed:
            continue


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_reader_gives_back_what_it_read(where: int, put: bytes) -> None:
    note = NOTE[:where] + put + NOTE[where + len(put) :]
    try:
        parsed = checkpoints.parse(note)
    except Malformed:
        return
    assert parsed.encode() == note


def test_verifier_keys_round_trip() -> None:
    assert checkpoints.parse_verifier_key(checkpoints.verifier_key(ORIGIN, KEY.public)) == (ORIGIN, KEY.public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ORIGIN,
        checkpoints.verifier_key(ORIGIN, KEY.public).replace("+A", "+B", 1),
        checkpoints.verifier_key(ORIGIN, KEY.public)[:-4],
        "x" + checkpoints.verifier_key(ORIGIN, KEY.public),
        f"{ORIGIN}+00000000+" + b64encode(b"\x01" + bytes(32)).decode(),
    ],
)
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(CheckpointMalformed):
        checkpoints.parse_verifier_key(text)


def test_only_ed25519_signs_checkpoints() -> None:
    with pytest.raises(KeyInvalid):
        checkpoints.sign(CHECKPOINT, key_of("log", Algorithm.ML_DSA_65))


COORDINATOR = key_of("coordinator", Algorithm.ML_DSA_65)


def _envelope(payload: bytes, kind: str = dsse.LOG_KEY_TYPE) -> dsse.Envelope:
    return dsse.Envelope(kind, payload, [(COORDINATOR.public.key_id, dsse.sign(COORDINATOR, kind, payload))])


STATEMENT = checkpoints.log_key_statement(CHAIN, KEY.public)


def test_the_coordinator_names_the_logs_key() -> None:
    found = checkpoints.endorsed_log_key(_envelope(STATEMENT), COORDINATOR.public, chain_id=CHAIN)
    assert found == KEY.public


@pytest.mark.parametrize(
    ("envelope", "error"),
    [
        (_envelope(STATEMENT, dsse.BLOCK_TYPE), CheckpointMalformed),
        (_envelope(checkpoints.log_key_statement(hash_of("x"), KEY.public)), CheckpointMalformed),
        (_envelope(canonical.encode({"v": 1})), CheckpointMalformed),
        (_envelope(b"{}"), CheckpointMalformed),
        (_envelope(b"[1, 2]"), Malformed),
        (dsse.Envelope(dsse.LOG_KEY_TYPE, STATEMENT, []), SignatureInvalid),
        (dsse.Envelope(dsse.LOG_KEY_TYPE, STATEMENT, [(COORDINATOR.public.key_id, bytes(3309))]), SignatureInvalid),
    ],
    ids=["type", "chain", "fields", "empty", "not canonical", "unsigned", "forged"],
)
def test_what_names_no_key(envelope: dsse.Envelope, error: type[Exception]) -> None:
    with pytest.raises(error):
        checkpoints.endorsed_log_key(envelope, COORDINATOR.public, chain_id=CHAIN)


def test_the_bytes_of_a_proof_file() -> None:
    proof = TlogProof(5, (ROOT, bytes(32)), NOTE)
    lines = ["c2sp.org/tlog-proof@v1", "index 5", b64encode(ROOT).decode(), b64encode(bytes(32)).decode(), "", ""]
    assert proof.encode() == "\n".join(lines).encode() + NOTE
    assert TlogProof.parse(proof.encode()) == proof
    with_extra = proof.encode().replace(b"index", b"extra QUJD\nindex", 1)
    assert TlogProof.parse(with_extra) == proof
    alone = TlogProof(0, (), NOTE)
    assert TlogProof.parse(alone.encode()) == alone


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"c2sp.org/tlog-proof@v2\nindex 5\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nindex -5\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nindex 5\nQUJD\n\n" + NOTE,
        b"c2sp.org/tlog-proof@v1\nindex 5",
        b"\xff\n\n",
    ],
)
def test_what_is_no_proof_file(data: bytes) -> None:
    with pytest.raises(Malformed):
        TlogProof.parse(data)
