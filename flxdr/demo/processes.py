"""The demo's processes: a coordinator and the organisations' agents, each as a user would start it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from flxdr.demo.errors import DemoFailed
from flxdr.supervisor import die_with_parent

T = TypeVar("T")
LOG_LINES = 15


class Processes:
    """Processes that live as long as this context; none outlives the demo, however it ends.

    Args:
        logs: folder that takes one file of output for each process.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._files = ExitStack()

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._running.values()):  # the agents before their coordinator
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._files.close()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process whose output goes to `NAME.log`."""
        log = self._files.enter_context((self._logs / f"{name}.log").open("ab"))
        demo = os.getpid()
        self._running[name] = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the demo, which stops them in order
            preexec_fn=lambda: die_with_parent(demo),  # noqa: PLW1509 - no other thread runs yet
        )

    def require_alive(self) -> None:
        """Raises DemoFailed, with the end of its log, if a process has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise DemoFailed(f"{name} ended with exit code {process.returncode}\n{self._tail(name)}")

    def wait_for(self, look: Callable[[], T | None], *, what: str, seconds: float, every: float = 0.25) -> T:
        """Look until the answer is true while every process lives; the answer.

        Raises:
            DemoFailed: a process ended, or it took longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not (answer := look()):
            self.require_alive()
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{self._tail(name)}" for name in self._running)
                raise DemoFailed(f"not within {seconds:.0f} seconds: {what}\n{tails}")
            time.sleep(every)
        return answer

    def _tail(self, name: str) -> str:
        text = (self._logs / f"{name}.log").read_text("utf-8", errors="replace")
        return "\n".join(text.splitlines()[-LOG_LINES:])


def run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command to its end; its standard output.

    Raises:
        DemoFailed: it ended with another code than 0.
    """
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        raise DemoFailed(f"{' '.join(command)} ended with exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
