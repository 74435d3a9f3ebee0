"""NetFlow CSV in nProbe's column names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models_ml.adapters import Reading, read
from models_ml.adapters.columns import NETFLOW_READ
from models_ml.edge_stream import PROTOCOLS, STATES
from models_ml.errors import UnreadableFlows
from models_ml.families import FAMILIES, UNLABELLED, from_attack
from privacy.sanitize.fields import NETFLOW

DATA = Path(__file__).parents[3] / "shared" / "data" / "nf_botiot_v2_dev.csv.gz"

RECORD = {
    "FIRST_SWITCHED": "1700000000",
    "IPV4_SRC_ADDR": "192.0.2.1",
    "L4_SRC_PORT": "5000",
    "IPV4_DST_ADDR": "198.51.100.7",
    "L4_DST_PORT": "443",
    "PROTOCOL": "6",
    "L7_PROTO": "91.0",
    "IN_BYTES": str(6 * 40 + 700),
    "IN_PKTS": "6",
    "OUT_BYTES": str(5 * 40 + 3000),
    "OUT_PKTS": "5",
    "TCP_FLAGS": "27",
    "CLIENT_TCP_FLAGS": "27",
    "SERVER_TCP_FLAGS": "27",
    "FLOW_DURATION_MILLISECONDS": "2250",
    "DURATION_IN": "2250",
    "DURATION_OUT": "2200",
    "Label": "0",
    "Attack": "Benign",
    "Dataset": "lab",
}


def write(path: Path, *records: dict[str, str], without: tuple[str, ...] = ()) -> Path:
    names = [name for name in RECORD if name not in without]
    lines = [",".join(names), *(",".join((RECORD | record)[name] for name in names) for record in records)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_flow_is_a_record(tmp_path: Path) -> None:
    stream, report = read(write(tmp_path / "nf.csv", {}))
    assert (report.format, report.records, report.malformed) == ("netflow-csv", 1, 0)
    assert (stream.t.tolist(), stream.duration.tolist()) == ([1700000000.0], [2.25])
    assert (stream.bytes_out[0], stream.bytes_in[0], stream.packets[0], stream.port[0]) == (700, 3000, 11, 443)
    assert (STATES[stream.state[0]], PROTOCOLS[stream.proto[0]]) == ("SF", "tcp")
    assert (FAMILIES[stream.family[0]], stream.captures) == ("Benign", ("lab",))


def test_records_without_times_need_an_assumed_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "nf.csv", *[{}] * 5, without=("FIRST_SWITCHED",))
    with pytest.raises(UnreadableFlows, match="no time") as refused:
        read(path)
    assert "assumed_rate" in str(refused.value.action)
    stream, _ = read(path, how=Reading(assumed_rate=4.0))
    assert stream.t.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("record", "seconds"),
    [
        ({"FLOW_DURATION_MILLISECONDS": "4293421", "DURATION_IN": "1546", "DURATION_OUT": "0"}, 1.546),
        ({"FLOW_DURATION_MILLISECONDS": "4294952", "DURATION_IN": "0", "DURATION_OUT": "0"}, 0.015),
        ({"FLOW_DURATION_MILLISECONDS": "4293421", "DURATION_IN": "4293421", "DURATION_OUT": "0"}, 4293.421),
        ({"IN_PKTS": "1", "OUT_PKTS": "0"}, None),
    ],
)
def test_wrapped_durations_are_undone(tmp_path: Path, record: dict[str, str], seconds: float | None) -> None:
    stream, _ = read(write(tmp_path / "nf.csv", record))
    assert stream.duration[0] == seconds if seconds is not None else np.isnan(stream.duration[0])


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ({"CLIENT_TCP_FLAGS": "2", "SERVER_TCP_FLAGS": "20"}, "REJ"),
        ({"CLIENT_TCP_FLAGS": "6", "SERVER_TCP_FLAGS": "18"}, "RSTO"),
        ({"PROTOCOL": "17", "OUT_PKTS": "0"}, "S0"),
        ({"PROTOCOL": "17"}, "SF"),
        ({"PROTOCOL": "132", "IN_PKTS": "0"}, "SHR"),
    ],
)
def test_states_are_zeeks(tmp_path: Path, record: dict[str, str], state: str) -> None:
    stream, _ = read(write(tmp_path / "nf.csv", record))
    assert STATES[stream.state[0]] == state


def test_flags_of_both_sides_together_serve_where_there_are_no_others(tmp_path: Path) -> None:
    path = write(
        tmp_path / "nf.csv",
        {},
        {"TCP_FLAGS": "2", "OUT_PKTS": "0"},
        without=("CLIENT_TCP_FLAGS", "SERVER_TCP_FLAGS"),
    )
    stream, _ = read(path)
    assert [STATES[index] for index in stream.state] == ["SF", "S0"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"IN_BYTES": "84.5"}, "no count"),
        ({"IN_PKTS": "-1"}, "no count"),
        ({"OUT_BYTES": "9" * 17}, "no count"),
        ({"L4_DST_PORT": "70000"}, "beyond 65535"),
        ({"FIRST_SWITCHED": "now"}, "no number"),
        ({"IPV4_DST_ADDR": ""}, "no value for dst"),
        ({"Attack": '"a'}, "no CSV"),
    ],
)
def test_a_bad_value_costs_its_line_only(tmp_path: Path, record: dict[str, str], reason: str) -> None:
    stream, report = read(write(tmp_path / "nf.csv", {}, record, {}))
    assert len(stream) == 2
    assert [(bad.number, reason in bad.reason) for bad in report.examples] == [(3, True)]


@pytest.mark.parametrize("column", ["PROTOCOL", "IN_BYTES", "L4_DST_PORT", "IPV4_SRC_ADDR"])
def test_a_header_that_lacks_a_needed_column_is_refused(tmp_path: Path, column: str) -> None:
    without = (column, "IPV4_DST_ADDR") if column == "IPV4_SRC_ADDR" else (column,)
    with pytest.raises(UnreadableFlows):
        read(write(tmp_path / "nf.csv", {}, without=without), "netflow-csv")


@pytest.mark.parametrize(
    ("attack", "label", "family"),
    [
        ("DoS", "1", "DDoS"),
        ("DDOS attack-HOIC", "1", "DDoS"),
        ("Reconnaissance", "1", "Scan"),
        ("scanning", "1", "Scan"),
        ("Theft", "1", "Exfiltration"),
        ("SSH-Bruteforce", "1", "BruteForce"),
        ("anything", "0", "Benign"),
        ("Analysis", "1", None),
        ("", "1", None),
    ],
)
def test_attacks_have_families(tmp_path: Path, attack: str, label: str, family: str | None) -> None:
    assert from_attack(attack, label) == (family or "")
    stream, _ = read(write(tmp_path / "nf.csv", {"Attack": attack, "Label": label}))
    assert stream.family[0] == (FAMILIES.index(family) if family else UNLABELLED)


def test_the_sanitiser_allows_exactly_what_training_reads() -> None:
    assert set(NETFLOW.fields) == set(NETFLOW_READ)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_a_public_set_reads_in_the_order_of_its_rows() -> None:
    stream, report = read(DATA, how=Reading(assumed_rate=1000.0))
    assert (report.records, report.malformed) == (24_669, 0)
    assert stream.family_counts() == {"Benign": 657, "DDoS": 16_000, "Scan": 8_000, "Exfiltration": 12}
    assert (np.diff(stream.t) > 0).all()
