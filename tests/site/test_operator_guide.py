"""The guide shows pictures that are there, and names controls as the pages name them."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

from tests.browser.pictures import PICTURES

DOCS = Path(settings.BASE_DIR) / "docs"
GUIDE = (DOCS / "operator-guide.md").read_text()
SOURCES = "\n".join(
    path.read_text()
    for folder, pattern in (
        ("templates", "*.html"),
        ("flxdr", "*.py"),
        ("federation", "*.py"),
        ("static/flxdr", "*.js"),
    )
    for path in sorted((Path(settings.BASE_DIR) / folder).rglob(pattern))
)


def test_every_picture_is_made_by_the_browser_tests_and_is_there() -> None:
    shown = re.findall(r"!\[[^]]+\]\(images/dashboard/([\w-]+)\.png\)", GUIDE)
    assert len(shown) > 10
    assert set(shown) <= set(PICTURES.values())
    assert [name for name in shown if not (DOCS / "images" / "dashboard" / f"{name}.png").exists()] == []


def test_every_link_leads_to_a_document() -> None:
    linked = re.findall(r"\]\(([\w-]+\.md)", GUIDE)
    assert [name for name in linked if not (DOCS / name).exists()] == []


def test_controls_are_called_what_the_pages_call_them() -> None:
    named = {name.rstrip(":?") for name in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", GUIDE)}
    assert len(named) > 10
    assert {name for name in named if name not in SOURCES} == set()
