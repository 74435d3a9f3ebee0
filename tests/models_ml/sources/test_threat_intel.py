"""STIX indicators of addresses, and the flows that they mark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_ml.adapters import Reading, read
from models_ml.errors import UnreadableSource
from models_ml.features import extract
from models_ml.sources.threat_intel import ThreatIntel
from tests.models_ml.test_adapters import CSV_FIRST, CSV_HEADER, CSV_SECOND

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def indicator(pattern: str, **more: Any) -> dict[str, Any]:
    return {"type": "indicator", "pattern_type": "stix", "pattern": pattern} | more


def intel(folder: Path, *objects: dict[str, Any]) -> ThreatIntel:
    path = folder / "bundle.json"
    path.write_text(json.dumps({"type": "bundle", "objects": objects}))
    return ThreatIntel.read([path], now=NOW)


@pytest.mark.parametrize(
    ("pattern", "named", "others"),
    [
        ("[ipv4-addr:value = '198.51.100.7']", ("198.51.100.7", "::ffff:198.51.100.7"), ("198.51.100.8", "host", "")),
        ("[ipv4-addr:value = '198.51.100.0/25']", ("198.51.100.0", "198.51.100.127"), ("198.51.100.128",)),
        ("[ipv4-addr:value ISSUBSET '10.0.0.0/8']", ("10.9.8.7",), ("11.0.0.1", "::a00:1")),
        ("[ipv6-addr:value = '2001:db8::5']", ("2001:DB8:0::5", "2001:db8::5%eth0"), ("2001:db8::6",)),
        ("[ipv6-addr:value ISSUBSET '2001:db8::/32']", ("2001:db8:ffff::1",), ("2001:db9::1",)),
        (
            "[ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value = '192.0.2.2'] OR [ipv4-addr:value = '192.0.2.3']",
            ("192.0.2.1", "192.0.2.2", "192.0.2.3"),
            ("192.0.2.4",),
        ),
        ("[ipv4-addr:value IN ('192.0.2.1', '192.0.2.9')]", ("192.0.2.1", "192.0.2.9"), ("192.0.2.2",)),
        ("[ipv4-addr:value = '0.0.0.0/0']", ("8.8.8.8",), ("::1",)),
    ],
)
def test_a_pattern_names_addresses(
    tmp_path: Path, pattern: str, named: tuple[str, ...], others: tuple[str, ...]
) -> None:
    found = intel(tmp_path, indicator(pattern))
    assert found.used == 1
    assert [host for host in (*named, *others) if found.is_listed(host)] == list(named)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (indicator("[ipv4-addr:value = '192.0.2.1' AND file:name = 'x']"), "not a choice of IP addresses alone"),
        (indicator("[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES"), "not a choice of IP addresses alone"),
        (indicator("[ipv4-addr:value != '192.0.2.1']"), "not a choice of IP addresses alone"),
        (indicator("[NOT ipv4-addr:value = '192.0.2.1']"), "not a choice of IP addresses alone"),
        (indicator("[ipv4-addr:value = '999.0.2.1']"), "not a choice of IP addresses alone"),
        (indicator("[ipv4-addr:value IN ()]"), "not a choice of IP addresses alone"),
        (indicator("[domain-name:value = 'x.example']"), "not a choice of IP addresses alone"),
        (indicator("[ipv4-addr:value = '192.0.2.1']", revoked=True), "revoked"),
        (indicator("[ipv4-addr:value = '192.0.2.1']", valid_until="2025-12-31T00:00:00Z"), "expired"),
        (indicator("[ipv4-addr:value = '192.0.2.1']", valid_until="soon"), "valid_until is no time"),
        (indicator("alert ip any", pattern_type="suricata"), "not a STIX pattern"),
        ({"type": "indicator"}, "not a STIX pattern"),
    ],
)
def test_other_indicators_are_left_out_and_counted(tmp_path: Path, given: dict[str, Any], reason: str) -> None:
    found = intel(tmp_path, given, {"type": "malware"})
    assert (found.used, dict(found.left_out)) == (0, {reason: 1})
    assert not found.is_listed("192.0.2.1")


@pytest.mark.parametrize("text", ["", "[]", '{"type": "bundle"}', '{"type": "indicator", "objects": []}'])
def test_what_is_no_bundle_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundle.json").write_text(text)
    with pytest.raises(UnreadableSource):
        ThreatIntel.read([tmp_path / "bundle.json"], now=NOW)
    with pytest.raises(UnreadableSource):
        ThreatIntel.read([tmp_path / "none.json"], now=NOW)


def test_flows_to_and_from_listed_hosts_are_marked_and_models_see_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "flows.csv"
    path.write_text("\n".join((CSV_HEADER, CSV_FIRST, CSV_SECOND)))
    found = intel(tmp_path, indicator("[ipv4-addr:value = '198.51.100.8']"))
    marked, _ = read(path, how=Reading(b"k" * 32, is_listed=found.is_listed))
    plain, _ = read(path, pseudonym_key=b"k" * 32)
    assert marked.indicator.tolist() == [False, True]
    assert plain.indicator.tolist() == [False, False]
    assert marked.in_time_order().select(slice(1, None)).indicator.tolist() == [True]
    np.testing.assert_array_equal(extract(marked), extract(plain))
    sources = intel(tmp_path, indicator("[ipv4-addr:value = '192.0.2.1']"))
    assert read(path, how=Reading(is_listed=sources.is_listed))[0].indicator.tolist() == [True, True]
