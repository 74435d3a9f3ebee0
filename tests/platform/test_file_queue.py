"""The queue in files: whole messages, each for one reader, in order, whatever runs at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any, cast

import pytest
from kombu import Connection, Exchange, Queue

from flxdr.platform.file_queue import Channel, Transport, register

FOLDERS = ("messages", "processed", "control")


def connect(folder: Path) -> Connection:
    register()
    options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "processed_folder": str(folder / "processed"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.01,
    }
    return Connection("filesystem://localhost//", transport_options=options)


def channel_of(connection: Connection) -> Channel:
    return cast("Channel", connection.channel())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def channel(folder: Path) -> Iterator[Channel]:
    with connect(folder) as connection:
        yield channel_of(connection)


def test_the_transport_is_ours(folder: Path) -> None:
    with connect(folder) as connection:
        assert isinstance(connection.transport, Transport)


def test_messages_come_in_order_and_once(channel: Channel, folder: Path) -> None:
    for number in range(20):
        channel._put("celery", {"n": number})
    channel._put("other", {"n": -1})
    assert [channel._get("celery")["n"] for _ in range(20)] == list(range(20))
    with pytest.raises(Empty):
        channel._get("celery")
    assert len(os.listdir(folder / "messages")) == 1
    assert os.listdir(folder / "processed") == []


def test_a_message_that_is_being_written_is_not_seen(channel: Channel, folder: Path) -> None:
    (folder / "messages" / ".incoming-x").write_bytes(b"")
    with pytest.raises(Empty):
        channel._get("celery")


def test_bindings_are_added_once_and_removed(channel: Channel) -> None:
    for _ in range(2):
        channel._queue_bind("exchange", "key", "", "a")
    channel._queue_bind("exchange", "key", "", "b")
    assert [binding.queue for binding in channel.get_table("exchange")] == ["b", "a"]
    channel._delete("a", "exchange", "key", "")
    channel._delete("never", "exchange", "key", "")
    assert [binding.queue for binding in channel.get_table("exchange")] == ["b"]
    assert channel.get_table("unknown") == []


def test_concurrent_bindings_are_all_kept(folder: Path) -> None:
    def bind(number: int) -> None:
        with connect(folder) as connection:
            channel_of(connection)._queue_bind("exchange", "key", "", f"queue{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(bind, range(24)))
    with connect(folder) as connection:
        assert len(channel_of(connection).get_table("exchange")) == 24


def send(folder: Path, first: int, count: int) -> None:
    with connect(folder) as connection:
        channel = channel_of(connection)
        for number in range(first, first + count):
            channel._put("celery", {"n": number, "padding": "x" * 5000})


def receive(folder: Path, until: int) -> list[int]:
    """Take messages until all are gone; `until` marks the end for one reader."""
    got: list[int] = []
    with connect(folder) as connection:
        channel = channel_of(connection)
        while True:
            try:
                number = channel._get("celery")["n"]
            except Empty:
                continue
            if number >= until:
                return got
            got.append(number)


def test_processes_at_once_read_every_message_whole_and_once(folder: Path) -> None:
    writers, readers, each = 2, 2, 150
    total = writers * each
    with ProcessPoolExecutor(writers + readers, mp_context=get_context("spawn")) as pool:
        reading = [pool.submit(receive, folder, total) for _ in range(readers)]
        for writing in [pool.submit(send, folder, number * each, each) for number in range(writers)]:
            writing.result(timeout=60)
        send(folder, total, readers)
        got = [number for reader in reading for number in reader.result(timeout=60)]
    assert sorted(got) == list(range(total))


def test_kombu_sends_and_receives_through_it(folder: Path) -> None:
    # Kombu remembers bindings by name for the whole process, whatever folder they were made in: take a name of our own.
    queue = Queue(folder.name, Exchange(folder.name), routing_key=folder.name)
    received: list[Any] = []
    with connect(folder) as connection:
        with connection.Producer() as producer:
            producer.publish({"task": 1}, exchange=queue.exchange, routing_key=folder.name, declare=[queue])

        def take(body: Any, message: Any) -> None:
            received.append(body)
            message.ack()

        with connection.Consumer(queue, callbacks=[take]):
            connection.drain_events(timeout=10)
    assert received == [{"task": 1}]
