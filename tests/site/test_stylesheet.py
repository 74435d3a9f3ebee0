"""The style sheet is one file that many write to: no block of it swallows what comes after."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

SHEETS = sorted(Path(settings.BASE_DIR, "static", "flxdr").glob("*.css"))


def nesting(sheet: str) -> list[int]:
    """How deep each line begins, comments left out."""
    depth, depths = 0, []
    for line in re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL).splitlines():
        depths.append(depth)
        depth += line.count("{") - line.count("}")
    return [*depths, depth]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.name)
def test_every_block_is_closed(sheet: Path) -> None:
    text = sheet.read_text()
    depths = nesting(text)
    assert depths[-1] == 0
    lines = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines()
    swallowed = [line for depth, line in zip(depths, lines, strict=False) if depth and line.startswith(("@media", "."))]
    assert swallowed == []


def test_an_open_block_would_be_seen() -> None:
    assert nesting("@media x {\n.a { b: c }\n")[-1] == 1
