"""The containers' probe tells what works from what does not, by its exit code and without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY, free_port

HOST = "fl.example.org"


def probe(*arguments: str, **environment: str) -> int:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "deploy" / "healthcheck.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode


class _Web(BaseHTTPRequestHandler):
    """Healthy under its own name; anything else is a bad request, as Django answers it."""

    def do_GET(self) -> None:
        self.send_response(200 if (self.path, self.headers["Host"]) == ("/healthz", HOST) else 400)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_the_web_process_is_asked_under_a_name_that_it_serves(port: int) -> None:
    asked = {"BACKEND_PORT": str(port), "FL_ALLOWED_HOSTS": f".{HOST},localhost"}
    assert probe("web", **asked) == 0
    assert probe("web", **{**asked, "FL_ALLOWED_HOSTS": "other.example.org"}) == 1


def test_a_web_process_that_does_not_listen_is_ill() -> None:
    assert probe("web", BACKEND_PORT=str(free_port())) == 1


@pytest.mark.parametrize("part", ["worker", "beat"])
def test_a_heartbeat_is_as_good_as_it_is_new(part: str, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    assert probe(part, FL_HEARTBEAT_FILE=str(file)) == 1
    file.touch()
    assert probe(part, FL_HEARTBEAT_FILE=str(file)) == 0
    old = time.time() - 61
    os.utime(file, (old, old))
    assert probe(part, FL_HEARTBEAT_FILE=str(file)) == 1


@pytest.mark.parametrize("arguments", [(), ("everything",), ("web", "worker")])
def test_other_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    assert probe(*arguments) not in (0, None)
