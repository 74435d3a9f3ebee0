from __future__ import annotations

import gzip
import itertools
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models_ml.adapters import FlowReader, Reading, ReadReport, iterate, read, write_conn_log
from models_ml.adapters.hosts import HostTable, Pseudonyms
from models_ml.adapters.lines import MAX_LINE_BYTES
from models_ml.edge_stream import COLUMNS, EdgeStream
from models_ml.errors import UnreadableFlows
from models_ml.families import FAMILIES, UNLABELLED
from models_ml.features import extract
from tests.models_ml.streams import two_families

KEY = b"k" * 32

CSV_HEADER = (
    "ts,uid,src_ip,src_port,dst_ip,dst_port,proto,service,duration,orig_bytes,resp_bytes,conn_state,missed_bytes,"
    "history,orig_pkts,orig_ip_bytes,resp_pkts,resp_ip_bytes,label,detail,capture,family"
)
CSV_FIRST = "100.5,Ca,192.0.2.1,5000,198.51.100.7,443,tcp,ssl,0.25,1000,2000,SF,0,Sh,6,1,7,2,Benign,,lan,Benign"
CSV_SECOND = '101.0,Cb,192.0.2.1,5001,198.51.100.8,23,tcp,,,,,S0,0,S,2,80,0,0,Malicious,"C&C, x",wan,C2'

TSV = "\n".join(
    (
        "#separator \\x09",
        "#set_separator\t,",
        "#empty_field\t(empty)",
        "#unset_field\t-",
        "#path\tconn",
        "#open\t2026-01-01-00-00-00",
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes"
        "\tresp_bytes\tconn_state\torig_pkts\tresp_pkts",
        "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tcount\tcount",
        "100.5\tCa\t192.0.2.1\t5000\t198.51.100.7\t443\ttcp\tssl\t0.25\t1000\t2000\tSF\t6\t7",
        "101.0\tCb\t192.0.2.1\t5001\t198.51.100.8\t23\ttcp\t-\t-\t-\t-\tS0\t2\t0",
        "#close\t2026-01-01-01-00-00",
    )
)

JSON_FIRST = {
    "ts": 100.5,
    "id.orig_h": "192.0.2.1",
    "id.resp_h": "198.51.100.7",
    "id.resp_p": 443,
    "proto": "tcp",
    "duration": 0.25,
    "orig_bytes": 1000,
    "resp_bytes": 2000,
    "conn_state": "SF",
    "orig_pkts": 6,
    "resp_pkts": 7,
}
JSON_SECOND = {
    "ts": "1970-01-01T00:01:41Z",
    "id.orig_h": "192.0.2.1",
    "id.resp_h": "198.51.100.8",
    "id.resp_p": 23,
    "proto": "tcp",
    "conn_state": "S0",
    "orig_pkts": 2,
}

SURICATA = {
    "event_type": "flow",
    "src_ip": "192.0.2.1",
    "dest_ip": "198.51.100.7",
    "dest_port": 443,
    "proto": "TCP",
    "flow": {"start": "1970-01-01T00:01:40.5+0000", "pkts_toserver": 6, "bytes_toserver": 999, "state": "closed"},
}
NETFLOW_HEADER = (
    "FIRST_SWITCHED,IPV4_SRC_ADDR,IPV4_DST_ADDR,L4_DST_PORT,PROTOCOL,IN_BYTES,IN_PKTS,OUT_BYTES,OUT_PKTS,TCP_FLAGS"
)
NETFLOW_FIRST = "100,192.0.2.1,198.51.100.7,443,6,999,6,999,5,27"

FORMS = {
    "zeek-csv": "\n".join((CSV_HEADER, CSV_FIRST, CSV_SECOND)),
    "zeek-tsv": TSV,
    "zeek-json": "\n".join((json.dumps(JSON_FIRST), json.dumps(JSON_SECOND))),
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    names = (f"log{number}" for number in itertools.count())

    def _write(text: str | bytes, *, compress: bool = False) -> Path:
        data = text.encode() if isinstance(text, str) else text
        path = tmp_path / next(names)
        path.write_bytes(gzip.compress(data) if compress else data)
        return path

    return _write


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_records(write: Callable[..., Path], form: str, compress: bool) -> None:
    stream, report = read(write(FORMS[form], compress=compress), pseudonym_key=KEY)
    assert (report.format, report.records, report.malformed) == (form, 2, 0)
    assert stream.t.tolist() == [100.5, 101.0]
    assert stream.port.tolist() == [443, 23]
    assert stream.duration[0] == 0.25
    assert np.isnan(stream.duration[1])
    assert stream.bytes_out.tolist() == [1000, 0]
    assert stream.bytes_in.tolist() == [2000, 0]
    assert stream.packets.tolist() == [13, 2]
    assert stream.src[0] == stream.src[1]
    assert len({int(stream.src[0]), *map(int, stream.dst)}) == 3
    expected = ["Benign", "C2"] if form == "zeek-csv" else []
    assert [FAMILIES[index] for index in stream.labelled().family] == expected


def test_captures_come_from_the_record_or_the_file(write: Callable[..., Path]) -> None:
    labelled, _ = read(write(FORMS["zeek-csv"]))
    assert [labelled.captures[index] for index in labelled.capture] == ["lan", "wan"]
    path = write(TSV)
    plain, _ = read(path)
    assert plain.captures == (path.name,)


def test_hosts_are_pseudonyms_under_the_key(write: Callable[..., Path]) -> None:
    path = write(TSV)
    one, same, other = (read(path, pseudonym_key=key)[0] for key in (KEY, KEY, b"x" * 32))
    assert (one.dst == same.dst).all()
    assert not (one.dst == other.dst).any()
    assert not (read(path)[0].dst == read(path)[0].dst).any()


def test_spaced_label_columns_of_public_logs_are_read(write: Callable[..., Path]) -> None:
    text = TSV.replace("\tresp_pkts", "\tresp_pkts\ttunnel_parents   label   detailed-label", 1)
    text = text.replace("\t6\t7", "\t6\t7\t(empty)   Benign   -").replace(
        "\t2\t0", "\t2\t0\t-   Malicious   PartOfAHorizontalPortScan"
    )
    stream, report = read(write(text))
    assert report.malformed == 0
    assert [FAMILIES[index] for index in stream.family] == ["Benign", "Scan"]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("ts", "", "no value for ts"),
        ("ts", "yesterday", "no number"),
        ("ts", "nan", "out of range"),
        ("ts", "-1", "out of range"),
        ("duration", "inf", "out of range"),
        ("duration", "-0.5", "out of range"),
        ("orig_bytes", "1e3", "no count"),
        ("orig_bytes", "-5", "no count"),
        ("resp_bytes", "9" * 30, "no count"),
        ("resp_pkts", "1_000", "no count"),
        ("orig_pkts", "١٢", "no count"),
        ("dst_port", "70000", "beyond 65535"),
        ("dst_port", "http", "no count"),
        ("conn_state", "XX", "unknown"),
        ("src_ip", "", "no value for src"),
        ("proto", "-", "no value for proto"),
    ],
)
def test_a_bad_value_costs_its_line_only(write: Callable[..., Path], column: str, value: str, reason: str) -> None:
    cells = CSV_FIRST.split(",")
    cells[CSV_HEADER.split(",").index(column)] = value
    stream, report = read(write("\n".join((CSV_HEADER, CSV_SECOND, ",".join(cells), CSV_FIRST))))
    assert len(stream) == report.records == 2
    assert report.malformed == 1
    assert report.examples[0].number == 3
    assert reason in report.examples[0].reason


@pytest.mark.parametrize(
    ("form", "line", "reason"),
    [
        ("zeek-csv", "1,2,3", "3 fields instead of 22"),
        ("zeek-csv", '"open', "no CSV"),
        ("zeek-tsv", "1\t2", "2 fields instead of 14"),
        ("zeek-json", "{", "no JSON"),
        ("zeek-json", "[1]", "no JSON object"),
        ("zeek-json", '{"ts": {"a": 1}}', "neither text nor a number"),
        ("zeek-json", '{"ts": true}', "neither text nor a number"),
        ("zeek-json", "{}", "no value for ts, src"),
        ("zeek-json", '{"ts": "2026-13-99T00:00:00Z"}', "no value"),
    ],
)
def test_a_bad_line_is_counted_with_its_number(write: Callable[..., Path], form: str, line: str, reason: str) -> None:
    first, *others = FORMS[form].splitlines()
    stream, report = read(write("\n".join((first, *others, line, others[-1] if form != "zeek-tsv" else "#x\ty"))))
    assert report.malformed == 1
    assert report.examples[0].number == len(others) + 2
    assert reason in report.examples[0].reason
    assert len(stream) >= 2


def test_lines_that_are_no_text_or_too_long_are_counted(write: Callable[..., Path]) -> None:
    data = b"\n".join(
        (CSV_HEADER.encode(), b"\xff\xfe\xfd", b"a" * (3 * MAX_LINE_BYTES), CSV_FIRST.encode(), CSV_SECOND.encode())
    )
    stream, report = read(write(data))
    assert len(stream) == 2
    assert [(bad.number, bad.reason) for bad in report.examples] == [
        (2, "not UTF-8"),
        (3, f"longer than {MAX_LINE_BYTES} bytes"),
    ]


def test_a_broken_off_archive_keeps_what_was_read(write: Callable[..., Path]) -> None:
    lines = [CSV_HEADER, *(CSV_FIRST.replace("100.5", str(second)) for second in range(20_000))]
    whole = gzip.compress("\n".join(lines).encode())
    stream, report = read(write(whole[: len(whole) // 2]))
    assert 0 < len(stream) < 20_000
    assert report.malformed >= 1
    assert "cannot be read further" in report.examples[-1].reason


def test_all_bad_lines_are_counted_and_some_kept(write: Callable[..., Path]) -> None:
    _, report = read(write("\n".join((CSV_HEADER, *["x"] * 100))))
    assert report.malformed == 100
    assert len(report.examples) == 20
    assert report.as_json()["examples"][0] == {"line": 2, "reason": "1 fields instead of 22"}


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", "a,b,c\n1,2,3\n", "\x00\x01\x02"])
def test_an_unknown_format_is_refused(write: Callable[..., Path], text: str) -> None:
    with pytest.raises(UnreadableFlows, match="known format"):
        read(write(text))


@pytest.mark.parametrize("header", ["ts,proto,conn_state", "#fields\tts\tproto"])
def test_a_header_without_the_needed_columns_is_refused(write: Callable[..., Path], header: str) -> None:
    with pytest.raises(UnreadableFlows, match="names no"):
        read(write(f"{header}\nx\n"))


def test_a_record_before_its_header_is_counted(write: Callable[..., Path]) -> None:
    _, report = read(write("#path\tconn\nx\ty\n"))
    assert report.examples[0].reason == "a record before the #fields line"


def test_a_missing_file_and_an_unknown_format_name_are_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(UnreadableFlows, match="cannot be opened"):
        read(tmp_path / "none")
    with pytest.raises(UnreadableFlows, match="cannot be opened"):
        read(tmp_path)
    with pytest.raises(UnreadableFlows, match="no format"):
        read(write(TSV), "pcap")


JUNK_IN = FORMS | {
    "suricata-json": "\n".join((json.dumps(SURICATA), json.dumps(SURICATA))),
    "netflow-csv": "\n".join((NETFLOW_HEADER, NETFLOW_FIRST, NETFLOW_FIRST)),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(form=st.sampled_from(sorted(JUNK_IN)), junk=st.binary(max_size=80), place=st.integers(0, 900))
def test_junk_anywhere_is_never_fatal(write: Callable[..., Path], form: str, junk: bytes, place: int) -> None:
    data = JUNK_IN[form].encode()
    try:
        stream, report = read(write(data[:place] + junk + data[place:]))
    except UnreadableFlows:
        return
    assert len(stream) == report.records
    assert np.isfinite(extract(stream)).all()


def test_streaming_holds_one_chunk_at_a_time(write: Callable[..., Path]) -> None:
    lines = [CSV_HEADER, *(CSV_FIRST.replace("100.5", str(second)) for second in range(30_000))]
    path = write("\n".join(lines), compress=True)
    report = ReadReport(source="log", format="")
    tracemalloc.start()
    sizes = [len(piece) for piece in iterate(path, report, chunk=1000)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == [1000] * 30
    assert report.records == 30_000
    assert peak < 3_000_000


def test_a_written_log_reads_back_as_the_same_stream(tmp_path: Path) -> None:
    flows = two_families(seed=3, count=300)
    unlabelled = np.arange(300) % 50 == 0
    flows = EdgeStream.from_columns(
        {name: getattr(flows, name) for name in COLUMNS} | {"family": np.where(unlabelled, UNLABELLED, flows.family)},
        ("branch",),
    )
    write_conn_log(flows, tmp_path / "conn.log")
    back, report = read(tmp_path / "conn.log")
    assert (report.format, report.malformed) == ("zeek-tsv", 0)
    assert back.captures == ("branch",)
    for name in COLUMNS:
        if name in {"src", "dst"}:
            _, before = np.unique(getattr(flows, name), return_inverse=True)
            _, after = np.unique(getattr(back, name), return_inverse=True)
            assert len(set(zip(before.tolist(), after.tolist(), strict=True))) == before.max() + 1
        else:
            np.testing.assert_allclose(getattr(back, name), getattr(flows, name), atol=1e-6)
    np.testing.assert_allclose(extract(back), extract(flows), atol=1e-5)


@pytest.mark.parametrize(
    ("text", "seen", "removed"),
    [
        (f"{CSV_HEADER}\n{CSV_FIRST}\n{CSV_SECOND}\n", 44, 18),
        (
            '{"ts": 1, "src_ip": "a", "dst_ip": "b", "dst_port": 1, "proto": "tcp", "conn_state": "SF", "uid": "C"}',
            7,
            3,
        ),
    ],
)
def test_what_is_not_read_and_hosts_count_as_removed(tmp_path: Path, text: str, seen: int, removed: int) -> None:
    (tmp_path / "flows").write_text(text)
    _, report = read(tmp_path / "flows", pseudonym_key=KEY)
    assert (report.values_seen, report.values_removed) == (seen, removed)


def test_a_file_much_larger_than_a_chunk_is_read_in_the_memory_of_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "conn.json"
    with path.open("w") as file:
        for number in range(12_000):
            record = JSON_FIRST | {"id.orig_h": f"10.0.{number % 99}.1", "unread": "x" * 2000}
            file.write(f"{json.dumps(record)}\n")
    report = ReadReport(source="log", format="")
    tracemalloc.start()
    records = sum(len(piece) for piece in iterate(path, report, chunk=2000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert records == 12_000
    assert path.stat().st_size > 25_000_000
    assert peak < 2_500_000


def test_bad_lines_of_all_kinds_are_reported_in_their_order(write: Callable[..., Path]) -> None:
    bad_value = CSV_FIRST.replace("100.5", "soon")
    data = b"\n".join(
        [CSV_HEADER.encode(), bad_value.encode(), b"\xff", b"1,2", CSV_FIRST.encode(), bad_value.encode(), b"\xfe"]
    )
    _, report = read(write(data))
    assert [bad.number for bad in report.examples] == [2, 3, 4, 6, 7]


def test_lines_are_read_as_they_come(write: Callable[..., Path]) -> None:
    report = ReadReport(source="pipe", format="")
    reader = FlowReader(report, Reading(KEY), capture="pipe")
    assert len(reader.feed([(1, "")])) == 0
    assert len(reader.feed([(2, CSV_HEADER)])) == 0
    assert len(reader.feed([(3, CSV_FIRST), (4, "x"), (5, CSV_SECOND)])) == 2
    whole, _ = read(write("\n".join((CSV_HEADER, CSV_FIRST, CSV_SECOND))), pseudonym_key=KEY)
    again = reader.feed([(6, CSV_FIRST)])
    assert again.src[0] == whole.src[0]
    assert (report.format, report.records, report.malformed) == ("zeek-csv", 3, 1)


def test_hosts_keep_their_pseudonyms_when_the_table_of_known_ones_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models_ml.adapters.hosts.MAX_KNOWN", 3)
    table = HostTable(Pseudonyms(KEY), is_listed=lambda host: host == "b")
    first = table.numbers(["a", "b", "c"])
    assert table.listed(first).tolist() == [False, True, False]
    assert len(set(table.numbers(["d", "e"]).tolist()) | set(first.tolist())) == 5
    again = table.numbers(["c", "b"])
    assert again.tolist() == first[[2, 1]].tolist()
    assert table.listed(again).tolist() == [False, True]


def test_only_the_connection_log_of_a_stream_of_logs_is_read(write: Callable[..., Path]) -> None:
    other = {"@stream": "dns", "ts": 1.0}
    _, report = read(write("\n".join(json.dumps(each) for each in (other, {"@stream": "conn"} | JSON_FIRST))))
    assert (report.records, report.malformed, report.skipped) == (1, 0, {"dns": 1})


def test_json_names_that_mean_the_same_are_taken_in_their_order(write: Callable[..., Path]) -> None:
    stream, report = read(write(json.dumps(JSON_FIRST | {"dst_port": 22, "id.resp_p": None})))
    assert (report.records, stream.port.tolist()) == (1, [22])
