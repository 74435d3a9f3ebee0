"""An S3-compatible server over real HTTP, and a line to it that can be cut, slowed down and garbled."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from tests.support.processes import free_port

ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key"
REGION = "us-east-1"


@dataclass(frozen=True)
class ObjectServer:
    """A bucket of its own on a running server."""

    url: str
    bucket: str

    def another(self) -> ObjectServer:
        """The same server, with an empty bucket."""
        made = ObjectServer(self.url, f"flxdr-{secrets.token_hex(6)}")
        made.client.create_bucket(Bucket=made.bucket)
        return made

    @property
    def client(self) -> Any:
        """boto3's own client, beside the product."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}),
        )

    def objects(self) -> list[str]:
        """The names of all objects."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def read(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def write(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def values(self, *, endpoint: str | None = None) -> dict[str, Any]:
        """The fields of `Env` that make a coordinator use the bucket."""
        return {
            "blobs_s3_bucket": self.bucket,
            "blobs_s3_endpoint": endpoint or self.url,
            "blobs_s3_region": REGION,
            "blobs_s3_access_key_id": ACCESS_KEY,
            "blobs_s3_secret_access_key": SECRET_KEY,
        }

    def environment(self, *, endpoint: str | None = None) -> dict[str, str]:
        """The variables that make a coordinator use the bucket."""
        return {f"FL_{name.upper()}": str(value) for name, value in self.values(endpoint=endpoint).items()}


@contextlib.contextmanager
def object_server() -> Iterator[ObjectServer]:
    """A server in this process that other processes reach as well; its objects end with it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    try:
        yield ObjectServer("http://{}:{}".format(*server.get_host_and_port()), "none").another()
    finally:
        server.stop()


class Line:
    """A TCP line to a server on this machine, for as long as the block runs.

    Attributes:
        cut: refuse connections, and end those that are open.
        answer_bytes: end a connection after so many bytes of the server's answers; None for no end.
        pause: seconds before each portion of an answer.
        connections: how many there were.
    """

    def __init__(self, server: str) -> None:
        host, port = server.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self.cut = False
        self.answer_bytes: int | None = None
        self.pause = 0.0
        self.connections = 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Line:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.cut:
                connection.close()
                continue
            server = socket.create_connection(self._target)
            threading.Thread(target=self._carry, args=(connection, server, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, connection, True), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while not self.cut and (data := source.recv(65536)):
                if answers:
                    self._ended.wait(self.pause)
                    if self.answer_bytes is not None:
                        data = data[: max(0, self.answer_bytes - carried)]
                        if not data:
                            break
                carried += len(data)
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
