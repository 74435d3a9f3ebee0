"""Categories: ATT&CK tactics and techniques by id or name.

The table is made by `attack_table` and carries MITRE's notice, its source's hash and the date of its newest change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import orjson

from privacy.errors import CategoryUnknown
from privacy.sanitize.attack_table import TABLE

_TECHNIQUE = re.compile(r"T(\d{4})(?:[./](\d{3}))?", re.ASCII)
_TACTIC = re.compile(r"TA\d{4}", re.ASCII)
_SEPARATORS = re.compile(r"[\s_-]+")
_MOST_REVOCATIONS = 8


@dataclass(frozen=True)
class Category:
    """A tactic (`TA0011`) or a technique (`T1059.001`).

    Args:
        tactics: short names of the tactics that a technique serves; a tactic's own.
    """

    id: str
    name: str
    tactics: tuple[str, ...]
    deprecated: bool = False


class Catalogue:
    """ATT&CK as a table of `attack_table` holds it."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._techniques = table["techniques"]
        self._tactics = {
            key: Category(key, entry["name"], (_SEPARATORS.sub("-", entry["name"].lower()),))
            for key, entry in table["tactics"].items()
        }
        self._tactic_of_name = {tactic.tactics[0]: tactic for tactic in self._tactics.values()}

    @classmethod
    @cache
    def vendored(cls) -> Self:
        """The catalogue that comes with flxdr."""
        return cls(orjson.loads(TABLE.read_bytes()))

    def find(self, text: str) -> Category:
        """The category that `text` names: `T1059.001`, `t1059/001`, `TA0011`, `Command and Control`.

        A revoked technique is its successor.

        Raises:
            CategoryUnknown: nothing in the table.
        """
        key = text.strip().upper()
        if match := _TECHNIQUE.fullmatch(key):
            return self._technique(".".join(filter(None, match.groups())), text)
        found = self._tactics.get(key) if _TACTIC.fullmatch(key) else None
        found = found or self._tactic_of_name.get(_SEPARATORS.sub("-", text.strip().lower()))
        if found is None:
            raise _unknown(text)
        return found

    def _technique(self, digits: str, text: str) -> Category:
        key = f"T{digits}"
        for _ in range(_MOST_REVOCATIONS):
            entry = self._techniques.get(key)
            if entry is None:
                break
            if "revoked_by" not in entry:
                return Category(key, entry["name"], tuple(entry["tactics"]), bool(entry.get("deprecated")))
            key = entry["revoked_by"]
        raise _unknown(text)


def _unknown(text: str) -> CategoryUnknown:
    return CategoryUnknown(
        f"{text[:40]!r} is no tactic or technique of ATT&CK",
        expected="an id such as T1059.001 or TA0011, or a tactic's name",
    )
