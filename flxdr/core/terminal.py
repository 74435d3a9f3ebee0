"""Text of others on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with a sign of its own for whatever would move the cursor, hide letters or turn their order."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
