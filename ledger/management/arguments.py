"""Arguments that the ledger's commands share."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ledger.chain.anchoring import HeldCheckpoint


def hash_argument(text: str) -> str:
    """A SHA-256 in lower-case hex."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ArgumentTypeError(f"{text!r} is no hash; expected 64 lower-case hex digits")
    return text


def add_checkpoint_arguments(parser: ArgumentParser) -> None:
    """`--checkpoint`, any number of times, and `--log-key`."""
    parser.add_argument(
        "--checkpoint",
        dest="checkpoints",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that you hold: the note, or its JSON form; may be given several times",
    )
    parser.add_argument(
        "--log-key",
        metavar="VKEY",
        help="the log's verifier key; without it the chain has to vouch for the one that a checkpoint's JSON names",
    )


def held_checkpoints(options: Mapping[str, Any]) -> list[HeldCheckpoint]:
    """The checkpoints that were given.

    Raises:
        OSError: a file cannot be read.
        flxdr.core.errors.Malformed: it holds no checkpoint.
    """
    return [HeldCheckpoint.read(path.read_bytes(), options["log_key"]) for path in options["checkpoints"]]
