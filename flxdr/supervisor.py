"""Keeps a few processes running: starts them, restarts what dies, stops them cleanly, leaves no orphan.

Pure process handling (Linux): what is supervised is the caller's business. Each process leads its own group, dies with
the supervisor even when that is killed (`PR_SET_PDEATHSIG`), and its process id stands in `run_dir/NAME.pid`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from flxdr.core.errors import Conflict

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class AlreadyRunning(Conflict):
    """Another supervisor holds the data folder."""

    code = "already_running"
    title = "Already running"


@dataclass(frozen=True)
class Service:
    """A process to keep alive.

    Args:
        name: what its pid file and its messages are called.
        command: program and arguments.
    """

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Backoff:
    """Seconds between restarts: doubles from `first` to `longest`, and starts over after `stable` seconds of life."""

    first: float = 0.2
    longest: float = 10.0
    stable: float = 10.0

    def after(self, previous: float, lifetime: float) -> float:
        """The pause after a process that lived `lifetime` seconds and was started after a pause of `previous`."""
        if lifetime >= self.stable:
            return self.first
        return min(max(previous * 2, self.first), self.longest)


def die_with_parent(parent: int, death_signal: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when its parent ends, however that happens.

    Args:
        parent: process id of the parent, taken before the fork; where it is already gone this process ends at once.
        death_signal: what to be sent.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


@contextlib.contextmanager
def exclusive(run_dir: Path) -> Iterator[None]:
    """Hold `run_dir` as its only supervisor; the kernel lets go of it however this process ends.

    Raises:
        AlreadyRunning: another process holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip()
            raise AlreadyRunning(
                f"a coordinator already runs on {run_dir.parent} (process {holder or 'unknown'})",
                action="Stop it first, or give this one a folder of its own with FL_DATA_DIR.",
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


class _Child:
    """One supervised process with its restarts."""

    def __init__(self, service: Service, environment: Mapping[str, str], run_dir: Path, log: IO[bytes] | None) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.due = 0.0  # when to start next
        self.pause = 0.0
        self._environment = environment
        self._log = log
        self._pid_file = run_dir / f"{service.name}.pid"

    def start(self) -> None:
        supervisor = os.getpid()
        self.process = subprocess.Popen(  # noqa: S603 - the caller's own command line, no shell
            self.service.command,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(supervisor),  # noqa: PLW1509 - the supervisor has one thread
        )
        self.started = time.monotonic()
        fresh = self._pid_file.with_suffix(".new")
        fresh.write_text(f"{self.process.pid}\n")
        fresh.replace(self._pid_file)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def end_group(self) -> None:
        """Kill what is left of the process's group; reap the process."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._pid_file.unlink(missing_ok=True)


class Supervisor:
    """Runs services until it is told to stop by SIGTERM or SIGINT.

    Args:
        services: what to run, started in this order and stopped in the reverse one.
        run_dir: folder of the pid files.
        environment: the processes' environment.
        announce: receives one line for each event worth telling.
        log: where the processes write; None lets them write where the supervisor writes.
        grace: seconds that a process has to end after SIGTERM before its group is killed.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        run_dir: Path,
        environment: Mapping[str, str],
        announce: Callable[[str], None],
        log: IO[bytes] | None = None,
        grace: float = 15.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._children = [_Child(service, environment, run_dir, log) for service in services]
        self._announce = announce
        self._grace = grace
        self._backoff = backoff or Backoff()
        self._stopping = False

    def run(self) -> None:
        """Start everything, keep it running, return when everything has ended after a stop signal."""
        with _wakeups(self._stop) as wait:
            try:
                while not self._stopping:
                    now = time.monotonic()
                    wait(self._tend(now))
            finally:
                self._shut_down(wait)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._announce(f"{signal.Signals(number).name}: stopping")
        self._stopping = True

    def _tend(self, now: float) -> float | None:
        """Start what is due, notice what died; the seconds until something is due again, None if nothing is."""
        pauses = []
        for child in self._children:
            if child.process is not None and (code := child.process.poll()) is not None:
                child.end_group()
                child.process = None
                child.pause = self._backoff.after(child.pause, now - child.started)
                child.due = now + child.pause
                self._announce(f"{child.service.name} ended ({_ending(code)}); again in {child.pause:.1f} s")
            if child.process is None:
                if child.due <= now:
                    child.start()
                else:
                    pauses.append(child.due - now)
        return min(pauses, default=None)

    def _shut_down(self, wait: Callable[[float | None], None]) -> None:
        deadline = time.monotonic() + self._grace
        for child in reversed(self._children):
            child.signal(signal.SIGTERM)
        while (remaining := deadline - time.monotonic()) > 0 and any(
            child.process is not None and child.process.poll() is None for child in self._children
        ):
            wait(remaining)
        for child in reversed(self._children):
            child.end_group()


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@contextlib.contextmanager
def _wakeups(stop: Callable[[int, FrameType | None], None]) -> Iterator[Callable[[float | None], None]]:
    """Install the stop signals; yields a wait that ends early on any signal, a child's death included.

    The kernel writes every signal into a pipe (`signal.set_wakeup_fd`), so none is lost between a check and the wait.
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    handled = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGCHLD: lambda _number, _frame: None}
    previous = {number: signal.signal(number, handler) for number, handler in handled.items()}
    previous_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait(seconds: float | None) -> None:
        if selector.select(seconds):
            with contextlib.suppress(BlockingIOError):
                os.read(reader, 4096)

    try:
        with selectors.DefaultSelector() as selector:
            selector.register(reader, selectors.EVENT_READ)
            yield wait
    finally:
        signal.set_wakeup_fd(previous_fd)
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
