"""The local sink keeps whole lines whatever happens, and the settings choose the sink."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from flxdr.core.errors import Misconfigured
from flxdr.platform.telemetry.sinks.interface import SinkUnavailable
from flxdr.platform.telemetry.sinks.kafka import KafkaSink
from flxdr.platform.telemetry.sinks.local import LocalSink
from flxdr.platform.telemetry.sinks.registry import configured_sink
from flxdr.platform.telemetry.sinks.roma import RomaSink
from tests.platform.events import event


def ids(path: Path) -> list[int]:
    text = path.read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line)["id"] for line in text.splitlines()]


def test_a_file_a_day_for_the_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "telemetry"
    sink = LocalSink(folder)
    sink.send([event(1), event(2, day="2026-01-02")])
    sink.send([event(3)])
    assert {path.name: ids(path) for path in folder.iterdir()} == {
        "events-2026-01-01.jsonl": [1, 3],
        "events-2026-01-02.jsonl": [2],
    }
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "telemetry").write_text("a file where the folder should be")
    with pytest.raises(SinkUnavailable):
        LocalSink(tmp_path / "telemetry").send([event(1)])


@pytest.mark.parametrize("torn", ['{"id": 9, "ki', "x" * 200_000], ids=["short", "longer than a block"])
def test_half_a_line_of_a_killed_process_goes(tmp_path: Path, torn: str) -> None:
    sink = LocalSink(tmp_path)
    sink.send([event(1)])
    path = tmp_path / "events-2026-01-01.jsonl"
    with path.open("a") as file:
        file.write(torn)
    sink.send([event(2)])
    assert ids(path) == [1, 2]
    path.write_text(torn)
    sink.send([event(3)])
    assert ids(path) == [3]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """The kernel's limit on the size of a file fails a write in the middle, as a full disk does."""
    sink = LocalSink(tmp_path)
    sink.send([event(1)])
    path = tmp_path / "events-2026-01-01.jsonl"
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 150, limits[1]))
        with pytest.raises(SinkUnavailable, match="File too large"):
            sink.send([event(2), event(3), event(4)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    sink.send([event(2), event(3), event(4)])
    assert ids(path) == [1, 2, 3, 4]


def test_the_settings_choose(env: Any, data_dir: Path) -> None:
    local = configured_sink()
    assert isinstance(local, LocalSink)
    assert local.folder == data_dir / "telemetry"
    env(telemetry_backend="roma", roma_mq_url="https://mq.example.org", roma_mq_token="t", telemetry_topic="soc")
    roma = configured_sink()
    assert isinstance(roma, RomaSink)
    assert (roma.url, roma.topic) == ("https://mq.example.org", "soc")
    env(telemetry_backend="kafka", telemetry_topic="soc")
    kafka = configured_sink()
    assert isinstance(kafka, KafkaSink)
    assert kafka.topic == "soc"
    env(telemetry_backend="roma", roma_mq_url=None)
    with pytest.raises(Misconfigured, match="ROMA_MQ_URL"):
        configured_sink()
