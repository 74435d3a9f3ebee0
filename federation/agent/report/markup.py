"""HTML and SVG as text, with everything that comes from outside escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NewType

from flxdr.core.terminal import printable

Markup = NewType("Markup", str)
"""Text that is markup already; any other text is escaped where it enters."""


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """An element; `class_` and `for_` stand for the attributes whose names Python keeps, `_` for a hyphen."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(children)}</{name}>")


def joined(children: Iterable[str | Markup]) -> Markup:
    return Markup("".join(children))


def text(value: object) -> Markup:
    """Escaped text; characters that no reader should meet are shown as such."""
    return Markup(escape(printable(str(value)), quote=False))


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table whose first column names the rows; cells that are Markup stand as they are."""
    head = element("tr", *(element("th", text(name), scope="col") for name in columns))
    body = [
        element(
            "tr",
            element("th", text(first), scope="row"),
            *(element("td", cell if isinstance(cell, _Raw) else text(cell)) for cell in others),
        )
        for first, *others in rows
    ]
    drawn = element("table", element("caption", text(caption)), element("thead", head), element("tbody", *body))
    return element("div", drawn, class_="scroll", tabindex="0")


class _Raw(str):
    """Markup in a cell."""

    __slots__ = ()


def raw(markup: Markup) -> str:
    """Mark a cell as markup."""
    return _Raw(markup)
