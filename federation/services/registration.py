"""What a registration may say: bounded, printable text and a readable key."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from federation.errors import RegistrationInvalid
from flxdr.core.keys import PublicKey
from privacy.sanitize.kinds import Kind
from privacy.sanitize.metadata import identifiers, identifiers_in_name

MAX_NAME = 200
MAX_SOURCES = 16
MAX_SOURCE_TEXT = 500
_ORG_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_NAMED = frozenset({Kind.HOST})
"""Organisations may be called by their domain."""
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
            name=_anonymous(_text(name, field="org_name", limit=MAX_NAME), field="org_name", allowed=_NAMED),
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
        if identifiers_in_name(name):
            raise _holds_identifiers("data_sources", identifiers_in_name(name))
    fields = {name: f"data_sources.{name}" for name in sources}
    return {
        name: _anonymous(_text(text, field=fields[name], limit=MAX_SOURCE_TEXT), field=fields[name])
        for name, text in sources.items()
    }


def _anonymous(text: str, *, field: str, allowed: frozenset[Kind] = frozenset()) -> str:
    """`text` if the sanitiser finds no identifier in it but of the `allowed` kinds."""
    if found := identifiers(text) - allowed:
        raise _holds_identifiers(field, found)
    return text


def _holds_identifiers(field: str, kinds: frozenset[Kind]) -> RegistrationInvalid:
    return RegistrationInvalid(
        f"{field} holds identifiers ({', '.join(sorted(kinds))})",
        expected="a description without addresses, hosts, accounts, people or files of theirs",
        field=field,
    )


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
