"""The documented list of tamperings is the one that is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ledger.chain.test_broken_rules import SIGNED
from tests.ledger.tampering_list import DOCUMENT, ITEMS, render
from tests.ledger.tamperings import STORED

TESTS = Path(__file__).resolve().parents[1]


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == render(), "run python -m tests.ledger.tampering_list"


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_has_a_test(item: str) -> None:
    name = ITEMS[item]
    if "::" not in name:
        assert (name in STORED) + (name in SIGNED) == 1
        return
    file, _, function = name.partition("::")
    assert f"\ndef {function}(" in (TESTS / file).read_text()


def test_no_item_stands_for_two() -> None:
    assert len(set(ITEMS.values())) == len(ITEMS)
