"""The style sheets, which several pages' authors write: no rule swallows the ones after it."""

from __future__ import annotations

import re

import pytest

from flxdr.env import BASE_DIR

SHEETS = ("dashboard.css", "admin.css")


@pytest.mark.parametrize("name", SHEETS)
def test_every_block_is_closed_before_the_next_section(name: str) -> None:
    sheet = (BASE_DIR / "static" / "flxdr" / name).read_text(encoding="utf-8")
    for comment in re.finditer(r"^/\*", sheet, re.MULTILINE):
        before = sheet[: comment.start()]
        assert before.count("{") == before.count("}"), sheet[comment.start() :].partition("\n")[0]
    assert sheet.count("{") == sheet.count("}")
