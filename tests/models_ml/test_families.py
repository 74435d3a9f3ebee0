from __future__ import annotations

import pytest

from models_ml.families import BENIGN, FAMILIES, UNLABELLED, from_labels, index_of


def test_benign_is_first() -> None:
    assert FAMILIES[BENIGN] == "Benign"
    assert len(set(FAMILIES)) == len(FAMILIES)


@pytest.mark.parametrize(
    ("family", "label", "detail", "expected"),
    [
        ("DDoS", "Malicious", "C&C", "DDoS"),
        ("ddos", None, None, "DDoS"),
        (None, "Benign", None, "Benign"),
        (None, "benign", "anything", "Benign"),
        (None, "Malicious", "C&C-HeartBeat", "C2"),
        (None, "Malicious", "C&C-FileDownload", "FileDownload"),
        (None, "Malicious", "PartOfAHorizontalPortScan", "Scan"),
        (None, "Malicious", "External-Attack-to-Device", "ExternalAttack"),
        (None, "Malicious", "Brute-Force", "BruteForce"),
        (None, "Scan", None, "Scan"),
    ],
)
def test_labels_name_families(family: str | None, label: str | None, detail: str | None, expected: str) -> None:
    assert from_labels(family, label, detail) == FAMILIES.index(expected)


@pytest.mark.parametrize(
    ("family", "label", "detail"),
    [(None, None, None), ("Unlabelled", "Benign", None), (None, "Background", None), (None, "Malicious", "new thing")],
)
def test_what_nobody_judged_is_unlabelled(family: str | None, label: str | None, detail: str | None) -> None:
    assert from_labels(family, label, detail) == UNLABELLED


def test_names_are_read_in_any_case() -> None:
    assert index_of(" bruteforce ") == FAMILIES.index("BruteForce")
