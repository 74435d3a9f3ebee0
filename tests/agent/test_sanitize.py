"""`flxdr-agent sanitize`: what would leave is shown in counts and pseudonyms, and never an original."""

from __future__ import annotations

import gzip
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from federation.agent.commands.app import app
from federation.agent.config import DataSection
from federation.agent.errors import DataInvalid, HomeInvalid
from federation.agent.home import Home
from federation.agent.records import RecordSource
from flxdr.core.keys import Algorithm, PrivateKey
from models_ml.adapters import write_conn_log
from tests.agent.flows import write_flows
from tests.models_ml.streams import two_families

EVENTS = [
    {
        "timestamp": "2021-06-06T15:58:31.79+0200",
        "event_type": "dns",
        "src_ip": "10.9.8.7",
        "dns": {"rrname": "a.corp.example"},
    },
    {"timestamp": "2021-06-06T15:58:32.79+0200", "event_type": "flow", "src_ip": "10.9.8.6", "alice@corp.example": 1},
]
ORIGINALS = ("10.9.8", "corp.example", "alice")


def run(home: Path, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["sanitize", *map(str, arguments), "--home", str(home / "home")])


def answer(home: Path, *arguments: object) -> dict[str, Any]:
    result = run(home, *arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "eve.json"
    path.write_text("\n".join([*map(json.dumps, EVENTS), "no event", ""]))
    return path


def test_counts_and_pseudonyms_are_shown_and_no_original(events: Path, tmp_path: Path) -> None:
    document = answer(tmp_path, events)
    assert (document["format"], document["records"], document["malformed"]) == ("suricata-json", 2, 1)
    assert document["malformed_examples"][0]["line"] == 3
    assert (document["values_seen"], document["values_dropped"], document["values_replaced"]) == (8, 1, 3)
    assert document["identifiers"] == {"host": 1, "ipv4": 2}
    assert document["sanitization_rate"] == 0.5
    assert len(document["pseudonyms"]["ipv4"]) == 2
    shown = run(tmp_path, events)
    assert shown.exit_code == 0
    assert document["pseudonyms"]["host"][0] in shown.stdout
    for text in (json.dumps(document), shown.output):
        assert not [word for word in ORIGINALS if word in text]


def test_what_would_leave_is_written_to_a_new_private_file(events: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.json"
    document = answer(tmp_path, events, "--out", out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[0]["src_ip"] in document["pseudonyms"]["ipv4"]
    assert not [word for word in ORIGINALS if word in out.read_text()]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert run(tmp_path, events, "--out", out).exit_code == 2
    assert answer(tmp_path, out)["sanitization_rate"] == 0


def test_compressed_files_and_archives_read_the_same(events: Path, tmp_path: Path) -> None:
    plain = answer(tmp_path, events)
    (tmp_path / "eve.gz").write_bytes(gzip.compress(events.read_bytes()))
    with zipfile.ZipFile(tmp_path / "eve.zip", "w") as archive:
        archive.writestr("__MACOSX/._eve.json", b"\x00\x05")
        archive.writestr("logs/eve.json", events.read_bytes())
    for name in ("eve.gz", "eve.zip"):
        document = answer(tmp_path, tmp_path / name)
        assert document | {"source": ""} == plain | {"source": ""}


def test_a_byte_order_mark_is_no_part_of_a_log(events: Path, tmp_path: Path) -> None:
    plain = answer(tmp_path, events)
    events.write_bytes(b"\xef\xbb\xbf" + events.read_bytes())
    assert answer(tmp_path, events) == plain


def test_an_encrypted_archive_is_refused(events: Path, tmp_path: Path) -> None:
    path = tmp_path / "eve.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(events, "eve.json")
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)
    result = run(tmp_path, path)
    assert result.exit_code == 8
    assert "encrypted" in result.output


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_is_refused_and_leaves_no_part_of_a_result(tmp_path: Path, method: int) -> None:
    path, out = tmp_path / "eve.zip", tmp_path / "clean.json"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("eve.json", json.dumps(EVENTS[0]) + "\n")
    body = bytearray(path.read_bytes())
    body[60] ^= 255
    path.write_bytes(body)
    result = run(tmp_path, path, "--out", out)
    assert result.exit_code == DataInvalid.exit_code, result.output
    assert "cannot be read further" in result.output
    assert not out.exists()


def test_subnets_stay_together_where_that_is_asked_for(events: Path, tmp_path: Path) -> None:
    first, second = answer(tmp_path, events, "--prefix-preserving")["pseudonyms"]["ipv4"]
    assert first.rpartition(".")[0] == second.rpartition(".")[0]


def test_only_so_many_records_are_read_as_asked_for(events: Path, tmp_path: Path) -> None:
    assert answer(tmp_path, events, "--limit", 1)["records"] == 1


def test_flows_lose_the_same_share_on_the_way_to_training(tmp_path: Path) -> None:
    write_flows(tmp_path / "flows.csv", seed=1)
    write_conn_log(two_families(seed=1, count=240), tmp_path / "conn.log")
    key = PrivateKey.generate(Algorithm.ED25519)
    for name in ("flows.csv", "conn.log"):
        records = RecordSource(DataSection(paths=(name,)), tmp_path, key).load()
        assert answer(tmp_path, tmp_path / name)["sanitization_rate"] == pytest.approx(
            records.sanitization_rate, abs=1e-6
        )


@pytest.mark.parametrize("content", ["hello\n", '{"message": "hello"}\n', "{\n", "PK\x03\x04broken", ""])
def test_a_file_of_no_known_kind_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "log").write_text(content)
    assert run(tmp_path, tmp_path / "log").exit_code == 8


def test_a_missing_file_and_an_unknown_format_are_refused(events: Path, tmp_path: Path) -> None:
    assert run(tmp_path, tmp_path / "missing").exit_code == 8
    assert run(tmp_path, events, "--format", "syslog").exit_code == 8


def test_the_secret_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    secret = home.sanitizer_secret()
    assert home.sanitizer_secret() == secret
    assert stat.S_IMODE(home.sanitizer_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    home.sanitizer_file.write_bytes(b"short")
    with pytest.raises(HomeInvalid, match="5 bytes"):
        home.sanitizer_secret()
    home.sanitizer_file.chmod(0o644)
    with pytest.raises(HomeInvalid, match="open to others"):
        home.sanitizer_secret()
