"""What may stand where an address or a body names something: nothing that a database or a log would stumble over."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from flxdr.platform.errors import InvalidParameter

PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

Identifier = Annotated[str, msgspec.Meta(pattern=rf"^{PATTERN}\Z", max_length=64)]
"""An identifier in a parsed document."""


class IdentifierConverter:
    """An identifier in a path; any other text there names nothing."""

    regex = PATTERN

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


def identifier_or_none(text: str | None, *, parameter: str) -> str | None:
    """An identifier from the query string, if it is there.

    Raises:
        InvalidParameter: another text.
    """
    if text is not None and not re.fullmatch(PATTERN, text, re.ASCII):
        raise InvalidParameter(
            f"{parameter} is no identifier",
            expected="1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit",
            parameter=parameter,
        )
    return text
