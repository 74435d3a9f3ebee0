"""One line of a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "trouble"]
DOCUMENT = "docs/troubleshooting.md"


@dataclass(frozen=True)
class Finding:
    """What was looked at and how it is.

    Attributes:
        state: `note` is worth reading and no trouble.
        see: the paragraph of the document that says what to do; empty where there is nothing to do.
    """

    part: str
    state: State
    text: str
    see: str = ""

    @property
    def where(self) -> str:
        return f"{DOCUMENT}#{self.see}" if self.see else ""


def ok(part: str, text: str) -> Finding:
    return Finding(part, "ok", text)


def note(part: str, text: str, see: str = "") -> Finding:
    return Finding(part, "note", text, see)


def trouble(part: str, text: str, see: str) -> Finding:
    return Finding(part, "trouble", text, see)
