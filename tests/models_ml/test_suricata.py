"""Suricata's flow events as records in Zeek's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_ml.adapters import read, write_eve
from models_ml.adapters.columns import SURICATA_READ
from models_ml.edge_stream import PROTOCOLS, STATES
from models_ml.families import FAMILIES
from models_ml.synthetic import generate
from privacy.sanitize.fields import SURICATA
from tests.models_ml.streams import two_families

DATA = Path(__file__).parents[3] / "shared" / "data" / "extra" / "slips_test6_suricata_eve.json.gz"
KEY = b"k" * 32


def event(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "timestamp": "2021-06-06T16:00:05.000000+0200",
        "event_type": "flow",
        "src_ip": "192.0.2.1",
        "src_port": 5000,
        "dest_ip": "198.51.100.7",
        "dest_port": 443,
        "proto": "TCP",
        "app_proto": "tls",
        "flow": {
            "pkts_toserver": 6,
            "pkts_toclient": 5,
            "bytes_toserver": 6 * 54 + 700,
            "bytes_toclient": 5 * 54 + 3000,
            "start": "2021-06-06T16:00:00.500000+0200",
            "end": "2021-06-06T16:00:02.750000+0200",
            "state": "closed",
        },
        "tcp": {"tcp_flags_ts": "1b", "tcp_flags_tc": "1b"},
    }
    flow = given["flow"] | changes.pop("flow", {})
    return given | {"flow": flow} | changes


def write(path: Path, *events: object) -> Path:
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in events))
    return path


def test_a_flow_event_is_a_record(tmp_path: Path) -> None:
    stream, report = read(write(tmp_path / "eve.json", event()), pseudonym_key=KEY)
    assert (report.format, report.records, report.malformed) == ("suricata-json", 1, 0)
    assert stream.t.tolist() == [1622988000.5]
    assert stream.duration.tolist() == [2.25]
    assert (stream.bytes_out.tolist(), stream.bytes_in.tolist(), stream.packets.tolist()) == ([700], [3000], [11])
    assert (STATES[stream.state[0]], PROTOCOLS[stream.proto[0]], stream.port[0]) == ("SF", "tcp", 443)
    assert stream.captures == ("eve",)
    assert (report.values_seen, report.values_removed) == (17, 5)


def test_alerts_and_other_events_are_counted_and_left_out(tmp_path: Path) -> None:
    others = [event(event_type=kind) for kind in ("alert", "dns", "alert")]
    _, report = read(write(tmp_path / "eve.json", *others, event()))
    assert report.records == 1
    assert report.skipped == {"alert": 2, "dns": 1}
    assert report.as_json()["skipped"] == {"alert": 2, "dns": 1}


@pytest.mark.parametrize(
    ("client", "server", "state"),
    [
        ("02", "00", "S0"),
        ("02", "14", "REJ"),
        ("06", "00", "RSTOS0"),
        ("03", "00", "SH"),
        ("06", "12", "RSTO"),
        ("1a", "1e", "RSTR"),
        ("1b", "1a", "S2"),
        ("1a", "1b", "S3"),
        ("1a", "1a", "S1"),
        ("00", "16", "RSTRH"),
        ("00", "13", "SHR"),
        ("10", "10", "OTH"),
    ],
)
def test_flags_of_both_sides_give_zeeks_state(tmp_path: Path, client: str, server: str, state: str) -> None:
    flags = {"tcp_flags_ts": client, "tcp_flags_tc": server}
    stream, _ = read(write(tmp_path / "eve.json", event(tcp=flags)))
    assert STATES[stream.state[0]] == state


@pytest.mark.parametrize(
    ("state", "answers", "expected"),
    [("new", 0, "S0"), ("new", 1, "S1"), ("established", 3, "S1"), ("closed", 3, "SF"), ("bypassed", 3, "OTH")],
)
def test_without_flags_the_state_of_the_flow_counts(tmp_path: Path, state: str, answers: int, expected: str) -> None:
    given = event(flow={"state": state, "pkts_toclient": answers})
    del given["tcp"]
    stream, _ = read(write(tmp_path / "eve.json", given))
    assert STATES[stream.state[0]] == expected


def test_a_single_packet_has_no_duration_and_a_connection_never_opened_no_payload(tmp_path: Path) -> None:
    given = event(
        flow={"pkts_toserver": 1, "pkts_toclient": 0, "bytes_toserver": 74, "bytes_toclient": 0},
        tcp={"tcp_flags_ts": "02", "tcp_flags_tc": "00"},
    )
    stream, _ = read(write(tmp_path / "eve.json", given))
    assert np.isnan(stream.duration[0])
    assert (stream.bytes_out[0], stream.packets[0]) == (0, 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (event(flow={"pkts_toserver": -1}), "no counts"),
        (event(flow={"bytes_toclient": 1.5}), "no counts"),
        (event(flow={"start": "yesterday"}), "no number"),
        (event(flow={"start": "2021-13-06T16:00:00.500000+0200"}), "no time"),
        (event(flow={"start": 5}), "no text"),
        (event(flow={"start": None}), "no value for ts"),
        (event(src_ip=5), "no text"),
        (event(dest_port=70000), "beyond 65535"),
        (event(tcp={"tcp_flags_ts": "zz"}), "hexadecimal"),
        (event() | {"flow": [1]}, "without its flow"),
        (event(event_type=None), "no event_type"),
        (event(family=["C2"]), "a label is neither"),
        ("{", "no JSON"),
    ],
)
def test_a_bad_event_costs_its_line_only(tmp_path: Path, line: object, reason: str) -> None:
    stream, report = read(write(tmp_path / "eve.json", event(), line, event()))
    assert len(stream) == 2
    assert [(bad.number, reason in bad.reason) for bad in report.examples] == [(2, True)]


def test_training_reads_nothing_that_the_sanitiser_does_not_allow() -> None:
    read_names = {f"{section}.{key}".lstrip(".") for section, keys in SURICATA_READ.items() for key in keys}
    assert read_names - SURICATA.fields.keys() == {"family", "label", "detail", "capture"}


def test_written_events_read_back_as_the_same_flows(tmp_path: Path) -> None:
    flows = two_families(seed=3, count=300)
    write_eve(flows, tmp_path / "eve.json")
    back, report = read(tmp_path / "eve.json")
    assert (report.format, report.malformed, len(back)) == ("suricata-json", 0, 300)
    for name in ("port", "proto", "family", "packets"):
        np.testing.assert_array_equal(getattr(back, name), getattr(flows, name))
    np.testing.assert_allclose(back.t, flows.t, atol=1e-5)
    opened = np.isin(flows.state, [STATES.index(name) for name in ("SF", "S1", "RSTO", "RSTR", "OTH")])
    np.testing.assert_array_equal(back.bytes_out[opened], flows.bytes_out[opened])
    tcp = flows.proto == PROTOCOLS.index("tcp")
    np.testing.assert_array_equal(back.state[tcp], flows.state[tcp])


def test_the_five_attacks_of_the_generator_survive_as_events(tmp_path: Path) -> None:
    flows = generate(1, records=300)["bank"].test
    write_eve(flows, tmp_path / "eve.json")
    back, report = read(tmp_path / "eve.json")
    assert report.malformed == 0
    assert back.family_counts() == flows.family_counts()
    assert set(back.family_counts()) == {"Benign", "Scan", "BruteForce", "LateralMovement", "C2", "Exfiltration"}
    assert set(back.family_counts()) <= set(FAMILIES)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_a_real_log_reads_without_a_bad_line() -> None:
    stream, report = read(DATA)
    assert (report.records, report.malformed, report.skipped["alert"]) == (3512, 0, 745)
    assert (stream.duration[~np.isnan(stream.duration)] >= 0).all()
    udp = stream.select(stream.proto == PROTOCOLS.index("udp"))
    assert {STATES[index] for index in np.unique(udp.state)} <= {"SF", "S0", "SHR"}
