"""The stored chain as a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from flxdr.platform.identity import coordinator_key
from flxdr.platform.storage.files import flush_to_disk, sync_folder, temporary_file
from ledger import selectors
from ledger.chain import export
from ledger.errors import TreeDamaged
from ledger.services import checkpoints
from ledger.services.verification import newest_height


@dataclass(frozen=True)
class Extent:
    """What an export is to hold: the chain as it was at one moment.

    Attributes:
        checkpoint: of all its blocks, in its JSON form; None where the log cannot sign one, and `problem` says why.
    """

    chain_id: str
    blocks: int
    head: str
    checkpoint: Mapping[str, Any] | None
    problem: str = ""


def extent() -> Extent:
    """The chain up to its newest block.

    Raises:
        ledger.errors.BlockMissing: there is none.
    """
    chain_id, blocks = selectors.chain_id(), newest_height() + 1
    checkpoint, problem = _checkpoint(blocks)
    return Extent(chain_id, blocks, selectors.block_at(blocks - 1).block_hash, checkpoint, problem)


def write(file: BinaryIO, what: Extent) -> None:
    """Write the lines of the export."""
    records = selectors.chain_records(0, what.blocks - 1)
    file.writelines(export.lines(what.chain_id, records, what.checkpoint))


def replace(path: Path, what: Extent) -> None:
    """Write the whole file or nothing: one that ends after some line reads as a shorter chain, not as a damaged one."""
    with temporary_file(path.parent) as (file, temporary):
        write(file, what)
        flush_to_disk(file)
        temporary.chmod(0o644)  # there is nothing in it that is not for everybody who verifies
        temporary.replace(path)
    sync_folder(path.parent)


def _checkpoint(size: int) -> tuple[Mapping[str, Any] | None, str]:
    if selectors.key_set().coordinator != coordinator_key().public:
        return None, "the coordinator's key at hand is not the chain's"
    try:
        return checkpoints.checkpoint_document(checkpoints.checkpoint(size=size)), ""
    except TreeDamaged as error:
        return None, str(error)
