"""Alerts shared with the real coordinator, over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import stix2

from flxdr.core import dsse
from ledger.selectors import members
from tests.agent.real_federation import Federation

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "api/fl-blockchain/federation/detections"


def test_what_an_agent_shares_the_members_can_read_and_check(federation: Federation, tmp_path: Path) -> None:
    federation.enrol("org-a", "--algorithm", "Ed25519")
    federation.turn("org-a")
    (trained,) = federation.cli("org-a", "train", "--epochs", "2")
    flows = str(federation.folder / "org-a.csv")
    told = federation.cli("org-a", "detect", flows, "--model", trained["file"], "--reveal-hosts")
    alert: dict[str, Any] = next(each for each in told if "family" in each)
    path = tmp_path / "alert.json"
    path.write_text(json.dumps(alert))

    (first,) = federation.cli("org-a", "share", str(path), "--note", "two of them, from 10.1.2.3")
    (again,) = federation.cli("org-a", "share", str(path), "--note", "two of them, from 10.1.2.3")
    assert first == again
    refused = federation.cli("org-a", "share", str(path), "--note", "other words", exit_code=4)
    assert refused[-1]["error"]["problem_code"] == "detection_conflict"

    page = httpx.get(f"{federation.url}/{PATH}").json()
    (entry,) = page["detections"]
    assert (entry["alert_id"], entry["note"]) == (alert["id"], "two of them, from [ipv4]")
    (key,) = members()["org-a"]
    statement, signature = (dsse.decode_base64(entry[name], name) for name in ("statement", "signature"))
    dsse.verify(key, signature, dsse.DETECTION_TYPE, statement)
    assert alert["host"]["address"] not in statement.decode()
    assert alert["host"]["pseudonym"] not in statement.decode()
    answer = httpx.get(f"{federation.url}/{PATH}/stix")
    assert answer.headers["Content-Type"] == "application/stix+json;version=2.1"
    (sighting,) = [item for item in stix2.parse(answer.text).objects if item.type == "sighting"]
    assert sighting["count"] == alert["flows"]
