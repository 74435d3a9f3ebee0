"""Checkpoints as a log hands them out, of any chain and by any key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flxdr.core import dsse
from flxdr.core.keys import PrivateKey
from ledger.chain import checkpoint as notes
from ledger.chain import cosignature as cosignatures
from ledger.chain import merkle
from ledger.chain.block import block_hash
from ledger.chain.checkpoint import Checkpoint
from ledger.chain.record import ChainRecord
from tests.ledger.chains import key_of

LOG = key_of("log")


def checkpoint_document(
    records: Sequence[ChainRecord], size: int, *, coordinator: PrivateKey, log: PrivateKey = LOG
) -> dict[str, Any]:
    """The JSON form of the checkpoint of the first `size` blocks; `coordinator` vouches for the log's key."""
    headers = [record.header for record in records]
    chain_id = block_hash(headers[0])
    checkpoint = Checkpoint(notes.origin_of(chain_id), size, merkle.root(headers[:size]))
    statement = notes.log_key_statement(chain_id, log.public)
    signature = dsse.sign(coordinator, dsse.LOG_KEY_TYPE, statement)
    envelope = dsse.Envelope(dsse.LOG_KEY_TYPE, statement, [(coordinator.public.key_id, signature)])
    return {
        **checkpoint.as_json(),
        "note": notes.sign(checkpoint, log).encode().decode(),
        "log_key": notes.verifier_key(checkpoint.origin, log.public),
        "log_key_statement": envelope.as_json(),
    }


def checkpoint_file(
    records: Sequence[ChainRecord], size: int, *, coordinator: PrivateKey, log: PrivateKey = LOG
) -> bytes:
    """The same as somebody keeps it."""
    return json.dumps(checkpoint_document(records, size, coordinator=coordinator, log=log)).encode()


def cosigning(
    chain_id: str,
    org_id: str,
    text: bytes,
    *,
    org_key: PrivateKey,
    witness: PrivateKey | None = None,
    time: int = 1_800_000_000,
) -> dict[str, Any]:
    """What an organisation's witness posts to cosign the checkpoint with that text."""
    witness = witness or key_of(f"witness of {org_id}")
    name = cosignatures.witness_name(chain_id, org_id)
    statement = cosignatures.witness_key_statement(chain_id, org_id, witness.public)
    signature = dsse.sign(org_key, dsse.WITNESS_KEY_TYPE, statement)
    envelope = dsse.Envelope(dsse.WITNESS_KEY_TYPE, statement, [(org_key.public.key_id, signature)])
    return {
        "size": int(text.split(b"\n")[1]),
        "cosignature": cosignatures.cosign(text, name, witness, time=time).line().rstrip("\n"),
        "witness_key_statement": envelope.as_json(),
    }
