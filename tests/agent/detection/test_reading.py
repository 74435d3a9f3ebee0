"""Flows in pieces: from files, in this process and in another, and from pipes."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from federation.agent.detection import addresses, reading
from federation.agent.detection.addresses import AddressBook
from federation.agent.detection.reading import STDIN, FlowSource
from federation.agent.errors import DataInvalid
from models_ml.adapters.reading import Reading
from models_ml.edge_stream import COLUMNS, EdgeStream, concat

KEY = bytes(range(32))


def source(path: Path, *, revealing: bool = False) -> FlowSource:
    return FlowSource(path, "", Reading(KEY), AddressBook(KEY) if revealing else None)


def same(one: EdgeStream, other: EdgeStream) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "duration")
        for name in COLUMNS
        if name != "capture"
    )


def test_another_process_reads_the_same(flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with flows.open("a") as file:
        file.write("not a record\n")
    here, there = source(flows, revealing=True), source(flows, revealing=True)
    alone, apart = here.report(), there.report()
    own = concat(list(reading.whole(here, alone)))
    monkeypatch.setattr(reading, "ALONE_BELOW", 0)
    others = concat(list(reading.whole(there, apart)))
    assert same(own, others)
    assert len(own) == 240
    assert alone == apart
    assert (apart.malformed, apart.examples[0].number) == (1, 242)
    assert here.book is not None
    assert there.book is not None
    hosts = set(own.src.tolist()) | set(own.dst.tolist())
    assert len(there.book) == len(here.book) == len(hosts)
    assert all(str(there.book.of(host)).startswith(("10.0.7.", "192.0.2.1")) for host in hosts)


def test_what_another_process_cannot_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ALONE_BELOW", 0)
    path = tmp_path / "poem.txt"
    path.write_text("no flows\n")
    unreadable = source(path)
    with pytest.raises(DataInvalid, match="known format"):
        list(reading.whole(unreadable, unreadable.report()))


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_reads_as_the_file(flows: Path, *, packed: bool) -> None:
    plain, piped = source(flows), source(STDIN)
    data = flows.read_bytes()
    stdin = io.BytesIO(gzip.compress(data) if packed else data)
    own = concat(list(reading.whole(plain, plain.report())))
    report = piped.report()
    assert same(own, concat(list(reading.whole(piped, report, stdin=stdin))))
    assert (report.records, report.source) == (240, "standard input")


@pytest.mark.parametrize("packed", [False, True])
def test_a_named_pipe_reads_as_the_file(flows: Path, tmp_path: Path, *, packed: bool) -> None:
    data, named = flows.read_bytes(), tmp_path / "pipe"
    os.mkfifo(named)
    writer = Thread(target=named.write_bytes, args=(gzip.compress(data) if packed else data,), daemon=True)
    writer.start()
    report = source(named).report()
    read = concat(list(reading.whole(source(named), report)))
    writer.join(5)
    assert len(read) == report.records == 240
    assert report.malformed == 0


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    missing = source(tmp_path / "none.csv")
    with pytest.raises(DataInvalid):
        list(reading.whole(missing, missing.report()))


def test_an_address_book_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_ADDRESSES", 2)
    book = AddressBook(KEY, lambda address: address == "10.0.0.2")
    assert [book(f"10.0.0.{number}") for number in (1, 2, 3)] == [False, True, False]
    assert len(book) == 2
    assert sorted(book.take_new().values()) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert book.take_new() == {}
