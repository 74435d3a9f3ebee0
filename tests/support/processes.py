"""A coordinator as users run it: real processes, real HTTP, a data folder of its own; any part of it can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
API = "/api/fl-blockchain"
PARTS = ("web", "worker", "beat")
T = TypeVar("T")


class GaveUp(AssertionError):
    """Something awaited did not happen in time."""


def eventually(look: Callable[[], T | None], *, what: str, timeout: float = 30.0, every: float = 0.05) -> T:
    """Look until the answer is true; the answer.

    Raises:
        GaveUp: it stayed false for `timeout` seconds.
    """
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise GaveUp(f"not within {timeout:g} s: {what}")
        pause.wait(every)
    return answer


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any setting of flxdr or Django, plus `overrides`."""
    prefixes = ("FL_", "FLXDR_", "DJANGO_", "BACKEND_", "PQC_", "TELEMETRY_", "JARVIS_", "ROMA_")
    names = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "API_HMAC_KEY", "DEV_ALLOWED_ORIGINS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(prefixes) and k not in names}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", **overrides}


class Coordinator:
    """`manage.py up` on a free port.

    Args:
        data_dir: its state; made if missing, and kept after the end.
        environment: settings beside `FL_DATA_DIR` (for example `DATABASE_URL` and `REDIS_URL`).
        web_workers: web processes.
    """

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None, *, web_workers: int = 1) -> None:
        self.data_dir = data_dir
        self.web_workers = web_workers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = clean_environment(
            {"FL_DATA_DIR": str(data_dir), "BACKEND_PORT": str(self.port), **(environment or {})}
        )
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(REPOSITORY / "manage.py"), "up", "--web-workers", str(self.web_workers)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
            )

    def wait_ready(self, timeout: float = 120.0) -> None:
        """Return when the web answers and all parts run."""
        eventually(lambda: self._ended() or self.answers(), what=f"{self.url} answers\n{self.tail()}", timeout=timeout)
        if self._ended():
            raise GaveUp(f"`manage.py up` ended\n{self.tail()}")
        eventually(lambda: all(self.pid(part) for part in PARTS), what="all parts run", timeout=timeout)

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def pid(self, part: str) -> int | None:
        """Process id of `web`, `worker` or `beat`; None while it does not run."""
        try:
            pid = int((self.data_dir / "run" / f"{part}.pid").read_text())
        except FileNotFoundError:
            return None
        return pid if psutil.pid_exists(pid) else None

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        if self._process is None or self._process.poll() is not None:
            return []
        supervisor = psutil.Process(self._process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def kill(self, part: str) -> int:
        """`kill -9` a part, or the `supervisor`; its process id. Returns when it is dead."""
        if part == "supervisor":
            assert self._process is not None
            self._process.kill()
            self._process.wait()
            return self._process.pid
        pid = self.pid(part)
        assert pid is not None, f"{part} does not run"
        process = psutil.Process(pid)
        process.kill()
        process.wait(timeout=60)
        return pid

    def stop(self, timeout: float = 90.0) -> int | None:
        """Stop as an operator does, by SIGTERM; the exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            for process in self.processes():
                process.kill()
            raise GaveUp(f"did not stop within {timeout:g} s of SIGTERM\n{self.tail()}") from None

    def manage(
        self,
        *arguments: str,
        check: bool = True,
        typed: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command on this coordinator's state.

        Args:
            typed: its standard input.
            environment: settings that differ from the coordinator's.
        """
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "manage.py"), *arguments],
            env={**self.environment, **(environment or {})},
            cwd=REPOSITORY,
            input=typed,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def tail(self, lines: int = 60) -> str:
        """The end of what the processes wrote."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None
