"""Records: only allowed fields leave, no identifier survives in them, and a second pass changes nothing."""

from __future__ import annotations

import string
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.adapters.columns import FIELD_OF_NAME
from privacy.sanitize.fields import FLOW, SURICATA, WINDOWS, Treatment
from privacy.sanitize.kinds import TOKEN
from privacy.sanitize.records import MAX_DEPTH
from privacy.sanitize.report import MAX_NAMES, OTHER, Report
from tests.privacy.sanitize.keys import OURS, SANITIZER, sanitized

ALERT = {
    "timestamp": "2021-06-06T15:58:31.793839+0200",
    "event_type": "alert",
    "flow_id": 1406059894217967,
    "src_ip": "203.0.113.9",
    "dest_ip": "192.168.1.129",
    "dest_port": 445,
    "alert": {"signature": "ET SCAN from 203.0.113.9", "severity": 2, "metadata": {"tag": ["CINS"]}},
    "dns": {"answers": [{"rrname": "www.corp.example", "rdata": "192.168.1.5", "note": "x"}]},
    "payload_printable": "password=hunter2",
}
LOGON = {
    "EventID": 4624,
    "Hostname": "WORKSTATION5.corp.example",
    "SubjectUserName": "wardog",
    "TargetUserSid": "S-1-5-21-1-2-3-500",
    "ProcessName": "C:\\Users\\wardog\\Downloads\\PsExec.exe",
    "CommandLine": "net user wardog secret",
    "LogonType": "3",
}


def test_an_alert_keeps_what_is_listed_and_no_identifier() -> None:
    cleaned, report = sanitized(ALERT)
    assert cleaned["alert"]["severity"] == 2
    assert cleaned["alert"]["signature"] == f"ET SCAN from {cleaned['src_ip']}"
    assert set(cleaned["dns"]["answers"][0]) == {"rrname", "rdata"}
    assert {"flow_id", "payload_printable"}.isdisjoint(cleaned)
    assert report.dropped == {"flow_id": 1, "alert.metadata.tag": 1, "dns.answers.note": 1, "payload_printable": 1}
    assert report.kinds == {"ipv4": 4, "host": 1}
    assert (report.seen, report.replaced.total()) == (13, 5)
    assert report.sanitization_rate == pytest.approx(9 / 13)


def test_host_telemetry_keeps_what_happened_and_not_who_it_was() -> None:
    cleaned, report = sanitized(LOGON)
    assert (cleaned["EventID"], cleaned["LogonType"]) == (4624, "3")
    text = orjson.dumps(cleaned).decode()
    assert not [word for word in ("wardog", "WORKSTATION5", "corp", "S-1-5", "secret") if word in text]
    assert cleaned["ProcessName"].endswith("\\Downloads\\PsExec.exe")
    assert report.dropped == {"CommandLine": 1}


def test_flows_may_keep_exactly_the_columns_that_training_reads() -> None:
    assert set(FLOW.fields) == set(FIELD_OF_NAME)
    cleaned, _ = sanitized({"ts": 1.5, "proto": "tcp", "id.orig_h": "10.0.0.1", "uid": "Cx"})
    assert cleaned == {"ts": 1.5, "proto": "tcp", "id.orig_h": OURS.of("ipv4", "10.0.0.1")}  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [4111111111111111, "4111111111111111", ["4111111111111111"]])
def test_a_number_in_the_place_of_a_text_is_searched(value: Any) -> None:
    cleaned, report = sanitized({"proto": value, "ts": 1})
    assert "4111" not in str(cleaned)
    assert report.kinds == {"card": 1}


@pytest.mark.parametrize("value", ["alice@corp.example", "10.0.0.1", "1.5 alice@corp.example"])
def test_a_text_in_the_place_of_a_number_is_searched(value: str) -> None:
    cleaned, _ = sanitized({"orig_bytes": value, "proto": "tcp", "ts": 1})
    assert "alice" not in cleaned["orig_bytes"]
    assert "10.0.0.1" not in cleaned["orig_bytes"]


@pytest.mark.parametrize("value", ["10.0.0.1%eth0", "010.0.0.1", "10.0.0.1:80", "fe80::1%eth0", "%", "::%%"])
def test_what_hardly_is_an_address_is_replaced_as_a_whole(value: str) -> None:
    cleaned, kinds = SANITIZER.clean(value, Treatment.HOST)
    assert TOKEN.fullmatch(cleaned)
    assert len(kinds) == 1


def test_what_is_nested_beyond_the_bound_is_dropped() -> None:
    value: Any = "tcp"
    for _ in range(2 * MAX_DEPTH):
        value = [value]
    cleaned, report = sanitized({"proto": value, "ts": 1})
    assert cleaned == {"ts": 1}
    assert report.dropped == {"proto": 1}


def test_names_of_dropped_fields_take_bounded_memory() -> None:
    report = Report()
    SANITIZER.record({f"x{number}": 1 for number in range(MAX_NAMES + 7)}, FLOW, report)
    assert len(report.dropped) == MAX_NAMES + 1
    assert report.dropped[OTHER] == 7


def test_names_of_fields_are_shown_without_identifiers() -> None:
    assert SANITIZER.field_name("alert.metadata.tag") == "alert.metadata.tag"
    assert "10.0.0" not in SANITIZER.field_name("hosts.10.0.0.1")
    assert "alice" not in SANITIZER.field_name("mail.alice@corp.example")


def test_an_object_that_json_does_not_know_is_dropped() -> None:
    cleaned, report = sanitized({"proto": b"10.0.0.1", "ts": 1})
    assert (cleaned, report.dropped) == ({"ts": 1}, {"proto": 1})


def test_a_lone_surrogate_is_replaced_like_any_text() -> None:
    cleaned, _ = sanitized({"src_ip": "al\ud800ice", "proto": "tcp", "ts": 1})
    assert cleaned["src_ip"].startswith("<host:")


NAMES = st.text(string.ascii_lowercase, min_size=6, max_size=12)
SECRETS = st.one_of(
    st.builds("{}@{}.example".format, NAMES, NAMES),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str).filter(lambda text: len(text) > 3),
    st.builds("{}.{}.internal".format, NAMES, NAMES),
    st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":")),
    st.sampled_from([16, 20, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)).map(bytes.hex),
    st.builds("CORP\\{}".format, NAMES),
    st.integers(10**8, 10**10).map(lambda number: f"+49 {number}"),
)
AROUND = st.sampled_from(["", "from ", "src=", '"', "(", "<", "[", "https://", "a, ", "\t", "\u200b", "\u00fc: "])
BEHIND = st.sampled_from(["", " refused", ",", '"', ")", ">", "]", "/path", ";x", "\n", ". Then", " 443"])


@given(st.lists(st.tuples(AROUND, SECRETS, BEHIND), min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_no_identifier_survives_and_a_second_pass_changes_nothing(parts: list[tuple[str, str, str]]) -> None:
    cleaned, _ = SANITIZER.text(" ".join(map("".join, parts)))
    for _, secret, _ in parts:
        assert secret.rpartition("\\")[2] not in cleaned
    assert SANITIZER.text(cleaned) == (cleaned, ())


PIECES = (
    *string.printable,
    *(
        "\u200b",
        "\uff10",
        "\u3002",
        "\uff20",
        "%40",
        "%2e",
        "%3a",
        "hxxp",
        "dot",
        "[.]",
        "S-1-5-21-1-2-3",
        "1.1.1.1",
        "a@b.cd",
    ),
    *("/home/", "user=", "+49", "4111", "DE89", "aa:", "<ipv4:", "0123456789ab>", "x.y.com", "\\\\"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@settings(max_examples=500, deadline=None)
def test_a_second_pass_changes_nothing_in_any_text(text: str) -> None:
    cleaned, _ = SANITIZER.text(text)
    assert SANITIZER.text(cleaned) == (cleaned, ())


@pytest.mark.parametrize(("record", "kind"), [(ALERT, SURICATA), (LOGON, WINDOWS)])
def test_a_record_is_the_same_after_a_second_pass(record: dict[str, Any], kind: Any) -> None:
    once = SANITIZER.record(record, kind, Report())
    report = Report()
    assert SANITIZER.record(once, kind, report) == once
    assert report.sanitization_rate == 0
