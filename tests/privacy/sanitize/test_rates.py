"""What of the labelled set is caught and what is taken for what it is not, as `docs/sanitizer.md` says it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from privacy.sanitize.text import normalise
from tests.privacy.sanitize.keys import SANITIZER
from tests.privacy.sanitize.labelled import EACH, IDENTIFIERS, TRAPS, Line, lines

DOCUMENT = (Path(__file__).parents[3] / "docs" / "sanitizer.md").read_text()


def documented(form: str) -> float:
    """The percentage in the row of `form`."""
    match = re.search(rf"^\| {re.escape(form)} \| (\d+\.\d) % \|", DOCUMENT, re.MULTILINE)
    assert match, f"docs/sanitizer.md has no row for {form}"
    return float(match[1])


def percentage(hits: int) -> float:
    return round(100 * hits / EACH, 1)


def is_gone(line: Line) -> bool:
    secret = re.split(r"[=\\/]", line.value.removesuffix("\\a.txt").removesuffix("/a.txt"))[-1]
    return normalise(secret).lower() not in SANITIZER.text(line.text)[0].lower()


@pytest.mark.parametrize("form", IDENTIFIERS)
def test_identifiers_are_caught_as_often_as_documented(form: str) -> None:
    assert percentage(sum(map(is_gone, lines(IDENTIFIERS[form], seed=1)))) == documented(form)


@pytest.mark.parametrize("form", TRAPS)
def test_traps_are_stepped_into_as_often_as_documented(form: str) -> None:
    assert percentage(sum(bool(SANITIZER.text(line.text)[1]) for line in lines(TRAPS[form], seed=2))) == documented(
        form
    )
