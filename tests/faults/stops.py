"""Stop a coordinator's process at a point, kill somebody, and let the rest go on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.faults.points import EVERY, Point
from tests.support.processes import Coordinator, eventually

INJECTION = Path(__file__).with_name("injection")
PARTS = ("web", "worker", "beat")
LEASE_SECONDS = 5.0
"""How long a dead worker keeps its claim in these tests; 30 s in the product."""


def victims(point: Point, number: int) -> Sequence[str]:
    """Who is killed at the `number`th point: who has come there, everything at once, and one of the others in turn."""
    others = ["supervisor", *(part for part in PARTS if part != point.part)]
    return point.part, "everything", others[number % len(others)]


def environment(folder: Path, *, lease_seconds: float | None = LEASE_SECONDS) -> dict[str, str]:
    """Variables with which a coordinator's processes stop at the points that are armed in `folder`."""
    folder.mkdir(parents=True)
    (folder / "watched").write_text("\n".join(point.function for point in EVERY))
    lease = {} if lease_seconds is None else {"FAULT_LEASE_SECONDS": f"{lease_seconds:g}"}
    return {"FAULT_STOPS": str(folder), "PYTHONPATH": os.pathsep.join([str(INJECTION), *_python_path()]), **lease}


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def strike(coordinator: Coordinator, victim: str) -> None:
    """`kill -9` a part, the supervisor alone, or everything at once; returns when it is dead and runs again."""
    if victim == "everything":
        family = coordinator.processes()
        coordinator.kill("supervisor")  # first: it must not start anything anew
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    elif victim == "supervisor":
        family = coordinator.processes()
        coordinator.kill("supervisor")
        for process in family:  # what is stopped cannot follow its parent
            with suppress(psutil.NoSuchProcess):
                process.resume()
    else:
        coordinator.kill(victim)
        return
    eventually(lambda: not any(_lives(process) for process in family), what="everything has ended", timeout=120)
    coordinator.start()
    coordinator.wait_ready(timeout=240)


def strike_when_up(coordinator: Coordinator, victim: str) -> None:
    """`strike`, once the victim runs: it may still be coming up from the blow before."""
    if victim in PARTS:
        eventually(lambda: coordinator.pid(victim), what=f"{victim} runs", timeout=120)
        with suppress(psutil.NoSuchProcess, AssertionError):  # it died meanwhile by itself
            coordinator.kill(victim)
    else:
        strike(coordinator, victim)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Blow(threading.Thread):
    """Waits until a process has stopped at the armed point, then strikes.

    Attributes:
        struck_at: monotonic seconds; None as long as nobody came to the point.
    """

    def __init__(self, folder: Path, blow: Callable[[], None], *, timeout: float) -> None:
        super().__init__(daemon=True)
        self.struck_at: float | None = None
        self.error: BaseException | None = None
        self._folder = folder
        self._blow = blow
        self._timeout = timeout
        self._given_up = threading.Event()

    def run(self) -> None:
        try:
            pid = eventually(self._reached, what="a process comes to the point", timeout=self._timeout, every=0.02)
            if self._given_up.is_set():
                return
            self.struck_at = time.monotonic()
            try:
                self._blow()
            finally:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        except BaseException as error:  # noqa: BLE001 - told to the test that waits for this thread
            self.error = error

    def give_up(self) -> None:
        self._given_up.set()

    def _reached(self) -> int | None:
        if self._given_up.is_set():
            return -1
        with suppress(FileNotFoundError):
            return int((self._folder / "reached").read_text())
        return None


@contextmanager
def struck(folder: Path, point: Point, blow: Callable[[], None], *, timeout: float = 240.0) -> Iterator[Blow]:
    """Arm `point`; once a process has stopped there call `blow`, then let it go on. Both have happened at the end."""
    for left in folder.glob("reached*"):
        left.unlink()
    fresh = folder / "arming"
    fresh.write_text(f"{point.part} {point.at}")
    thread = Blow(folder, blow, timeout=timeout)
    fresh.rename(folder / "armed")
    thread.start()
    try:
        yield thread
    except BaseException:
        thread.give_up()
        raise
    finally:
        (folder / "armed").unlink(missing_ok=True)
        if not (folder / "reached").exists():
            thread.give_up()
        thread.join(timeout + 180)
    if thread.error is not None:
        raise thread.error
    assert thread.struck_at is not None, f"nobody came to {point} ({point.at})"
