"""Checkpoints as a log hands them out, of any chain and by any key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flxdr.core import dsse
from flxdr.core.keys import PrivateKey
from ledger.chain import checkpoint as notes
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
