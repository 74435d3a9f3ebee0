"""The table of ATT&CK as it was made, and what texts it knows."""

from __future__ import annotations

import gzip
import hashlib
from typing import Any

import orjson
import pytest

from privacy.errors import CategoryUnknown
from privacy.sanitize.attack import Catalogue
from privacy.sanitize.attack_table import TABLE, build
from tests.privacy.sanitize.keys import sanitized

SHA256 = "3fc11fb73a0494422077ab50e5ee9720ebf879817a3e90ceef186b96afc3e131"
CATALOGUE = Catalogue.vendored()


def test_the_table_is_the_one_that_was_made() -> None:
    assert hashlib.sha256(TABLE.read_bytes()).hexdigest() == SHA256
    table = orjson.loads(TABLE.read_bytes())
    assert table["source_sha256"] == "5346f87db0146f0b2fe55fb2854a588b29faa9ab90e51631055a169a544a1106"
    assert "The MITRE Corporation" in table["notice"]
    assert (len(table["tactics"]), len(table["techniques"])) == (14, 691)


def test_every_technique_serves_tactics_that_exist() -> None:
    for key in orjson.loads(TABLE.read_bytes())["techniques"]:
        found = CATALOGUE.find(key)
        assert found.id == key
        assert found.tactics
        assert all(CATALOGUE.find(name).id.startswith("TA") for name in found.tactics)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T1059.001", "T1059.001"),
        (" t1059/001 ", "T1059.001"),
        ("t1059", "T1059"),
        ("TA0011", "TA0011"),
        ("ta0011", "TA0011"),
        ("Command and Control", "TA0011"),
        ("command_and-control", "TA0011"),
    ],
)
def test_spellings_become_ids(text: str, expected: str) -> None:
    assert CATALOGUE.find(text).id == expected


@pytest.mark.parametrize("text", ["", "T9999", "T1059.999", "T1059.1", "TA9999", "T1059.001x", "alice", "T\u0661059"])
def test_what_is_not_in_the_table_is_refused(text: str) -> None:
    with pytest.raises(CategoryUnknown):
        CATALOGUE.find(text)


def pattern(number: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "attack-pattern",
        "id": f"attack-pattern--{number}",
        "name": f"Technique {number}",
        "modified": f"2025-01-0{number}T00:00:00Z",
        "external_references": [{"source_name": "mitre-attack", "external_id": f"T000{number}"}],
        "kill_chain_phases": [{"phase_name": "impact"}],
    } | more


def revoked_by(source: int, target: int) -> dict[str, Any]:
    refs = {"source_ref": f"attack-pattern--{source}", "target_ref": f"attack-pattern--{target}"}
    return {"type": "relationship", "relationship_type": "revoked-by"} | refs


def test_a_revoked_technique_is_its_successor() -> None:
    objects = [pattern(1, revoked=True), pattern(2, revoked=True), pattern(3, x_mitre_deprecated=True)]
    objects += [
        pattern(4, revoked=True),
        pattern(5, revoked=True),
        revoked_by(1, 2),
        revoked_by(2, 3),
        revoked_by(5, 5),
    ]
    table = build(gzip.compress(orjson.dumps({"objects": objects})))
    catalogue = Catalogue(table)
    assert table["newest_change"] == "2025-01-05"
    assert catalogue.find("T0001") == catalogue.find("T0003")
    assert catalogue.find("T0003").deprecated
    for without in ("T0004", "T0005"):  # revoked without a successor; revoked in a circle
        with pytest.raises(CategoryUnknown):
            catalogue.find(without)


def test_categories_of_alerts_leave_as_ids_or_not_at_all() -> None:
    metadata = {"mitre_tactic_id": ["ta0011"], "mitre_technique_id": ["T1071/001", "alice"]}
    record = {"timestamp": 1, "event_type": "alert", "alert": {"metadata": metadata}}
    cleaned, report = sanitized(record)
    assert cleaned["alert"]["metadata"] == {"mitre_tactic_id": ["TA0011"], "mitre_technique_id": ["T1071.001"]}
    assert report.dropped == {"alert.metadata.mitre_technique_id": 1}
