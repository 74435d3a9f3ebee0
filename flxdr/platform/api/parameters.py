"""Query parameters: unknown ones are refused, lists come in pages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request

from flxdr.platform.errors import InvalidParameter, UnknownParameter

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 500
LARGEST_OFFSET = 2**53


def strict_query(request: Request, allowed: Collection[str]) -> dict[str, str]:
    """The query parameters of a request, each known and given once.

    Raises:
        UnknownParameter: one that the operation does not know.
        InvalidParameter: one that is given twice.
    """
    for name in request.query_params:
        if name not in allowed:
            raise UnknownParameter(
                f"the query parameter {name!r} is unknown here",
                expected=", ".join(sorted(allowed)) or "no query parameters",
                parameter=name,
            )
        if len(request.query_params.getlist(name)) > 1:
            raise InvalidParameter(f"the query parameter {name!r} is given twice", parameter=name)
    return {name: request.query_params[name] for name in request.query_params}


def whole_number(query: dict[str, str], name: str, *, default: int, at_least: int, at_most: int) -> int:
    """A whole number from the query.

    Raises:
        InvalidParameter: no number, or out of bounds.
    """
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,16}", text, re.ASCII) or not at_least <= int(text) <= at_most:
        raise InvalidParameter(
            f"{name}={text!r} is not allowed",
            expected=f"a whole number of at least {at_least} and at most {at_most}",
            parameter=name,
        )
    return int(text)


def truth(query: dict[str, str], name: str) -> bool:
    """`true` or `false` from the query; false if it is left out.

    Raises:
        InvalidParameter: anything else.
    """
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise InvalidParameter(f"{name}={text!r} is not allowed", expected="true or false", parameter=name)
    return text == "true"


@dataclass(frozen=True)
class LimitOffset:
    """A page of a list: `limit` entries after the first `offset`."""

    limit: int
    offset: int

    @classmethod
    def from_request(
        cls,
        request: Request,
        *,
        allowed: Collection[str] = (),
        default: int = DEFAULT_LIMIT,
        largest: int = LARGEST_LIMIT,
    ) -> LimitOffset:
        """Read `limit` and `offset`; a limit beyond `largest` becomes `largest`.

        Args:
            allowed: further query parameters that the operation knows; any other is refused.

        Raises:
            UnknownParameter, InvalidParameter
        """
        query = strict_query(request, {"limit", "offset", *allowed})
        limit = whole_number(query, "limit", default=default, at_least=1, at_most=LARGEST_OFFSET)
        offset = whole_number(query, "offset", default=0, at_least=0, at_most=LARGEST_OFFSET)
        return cls(min(limit, largest), offset)

    def slice(self, items: Any) -> Any:
        """The page of a query set or sequence."""
        return items[self.offset : self.offset + self.limit]

    def envelope(self, name: str, items: Iterable[Any], total: int) -> dict[str, Any]:
        """The guide's shape of a page."""
        return {name: list(items), "total": total, "limit": self.limit, "offset": self.offset}
