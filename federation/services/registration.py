"""What a registration may say: bounded, printable text and a readable key."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from federation.errors import RegistrationInvalid
from flxdr.core.keys import PublicKey

MAX_NAME = 200
MAX_SOURCES = 16
MAX_SOURCE_TEXT = 500
_ORG_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
RESERVED = frozenset({"coordinator", "operator"})
"""Names that sign or act on the coordinator's side and that no organisation may carry."""


@dataclass(frozen=True)
class Registration:
    """A checked registration; text in NFC."""

    org_id: str
    name: str
    data_sources: Mapping[str, str]
    public_key: PublicKey | None

    @classmethod
    def read(
        cls, *, org_id: str, name: str, data_sources: Mapping[str, str] | None, public_key_text: str | None
    ) -> Registration:
        """Check what an organisation declares about itself.

        Raises:
            RegistrationInvalid: a name or text out of bounds.
            KeyInvalid: a key text that is no ML-DSA-65 or Ed25519 key.
        """
        if not _ORG_ID.match(org_id) or org_id in RESERVED:
            raise RegistrationInvalid(
                f"{org_id!r} cannot name an organization",
                expected=f"1 to 64 of a-z 0-9 _ -, the first a letter or digit; not {' or '.join(sorted(RESERVED))}",
                field="org_id",
            )
        return cls(
            org_id=org_id,
            name=_text(name, field="org_name", limit=MAX_NAME),
            data_sources=_sources(data_sources or {}),
            public_key=PublicKey.from_text(public_key_text) if public_key_text else None,
        )


def _sources(sources: Mapping[str, str]) -> dict[str, str]:
    if len(sources) > MAX_SOURCES:
        raise RegistrationInvalid(
            f"{len(sources)} data sources", expected=f"at most {MAX_SOURCES}", field="data_sources"
        )
    for name in sources:
        if not _SOURCE.match(name):
            raise RegistrationInvalid(
                f"{name[:80]!r} cannot name a data source",
                expected="1 to 64 of a-z 0-9 _ . -, the first a letter or digit",
                field="data_sources",
            )
    return {name: _text(text, field=f"data_sources.{name}", limit=MAX_SOURCE_TEXT) for name, text in sources.items()}


def _text(text: str, *, field: str, limit: int) -> str:
    """NFC text that shows what it holds: no control, format or unassigned characters."""
    normal = unicodedata.normalize("NFC", text).strip() if isinstance(text, str) else ""
    if not normal or len(normal) > limit or not normal.isprintable():
        raise RegistrationInvalid(
            f"{field} is empty, too long, or holds characters that do not print",
            expected=f"1 to {limit} printable characters",
            field=field,
        )
    return normal
