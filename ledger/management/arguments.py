"""Arguments that the ledger's commands share."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError


def hash_argument(text: str) -> str:
    """A SHA-256 in lower-case hex."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ArgumentTypeError(f"{text!r} is no hash; expected 64 lower-case hex digits")
    return text
