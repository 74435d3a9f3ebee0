"""Looking for secrets where none may be, in the forms in which they are written."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

SHORTEST = 16
"""Characters of a secret that is in no text by chance."""


@dataclass
class Secrets:
    """Everything that must not be read anywhere, by what it is."""

    known: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, value: str | bytes) -> None:
        self.known[name] = value.encode() if isinstance(value, str) else value
        assert len(value) >= 16, "long enough to be in no text by chance"

    def found_in(self, text: bytes) -> list[str]:
        return [
            f"{name} ({form})"
            for name, value in self.known.items()
            for form, written in forms(value).items()
            if written in text
        ]


def forms(secret: bytes) -> Mapping[str, bytes]:
    """How a secret may be written: as it is, as hex, percent-encoded, quoted, in base64 at each place in a stream."""
    written = {
        "as it is": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "percent-encoded": quote(secret, safe="").encode(),
        "in quotes": repr(secret)[2:-1].encode(),
        "in JSON": json.dumps(secret.decode("latin-1"))[1:-1].encode(),
    }
    for skipped in range(3):
        # What of the encoding depends on the secret alone: without the characters that its neighbours share.
        whole = base64.b64encode(b"\0" * skipped + secret)
        own = whole[(4 if skipped else 0) : len(whole) // 4 * 4 - 4]
        written[f"base64 at {skipped}"] = own
        written[f"base64url at {skipped}"] = own.translate(bytes.maketrans(b"+/", b"-_"))
    return written
