"""The supervisor keeps processes running, stops them cleanly and leaves no orphan, whatever is killed."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.supervisor import AlreadyRunning, Backoff, exclusive
from tests.support.processes import REPOSITORY, eventually

SUPERVISE = """
import os, sys
from pathlib import Path
from flxdr.supervisor import Backoff, Service, Supervisor, exclusive

run_dir = Path(sys.argv[1])
with exclusive(run_dir):
    Supervisor(
        [Service(name, [sys.executable, "-c", program]) for name, program in zip(sys.argv[2::2], sys.argv[3::2])],
        run_dir=run_dir, environment=os.environ, announce=lambda line: print(line, flush=True), grace=2,
        backoff=Backoff(first=0.05, longest=0.2, stable=60),
    ).run()
"""
WAITS = "import signal; signal.pause()"
FORKS = "import os, signal; os.fork(); signal.pause()"
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""
FAILS = "raise SystemExit(3)"


@contextlib.contextmanager
def supervisor(run_dir: Path, **programs: str) -> Iterator[subprocess.Popen[str]]:
    arguments = [part for item in programs.items() for part in item]
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(run_dir), *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def running(run_dir: Path, name: str, *, but: int = 0) -> int:
    """Process id of a service once it runs, as another process than `but`."""

    def look() -> int:
        with contextlib.suppress(FileNotFoundError):
            pid = int((run_dir / f"{name}.pid").read_text())
            return pid if pid != but and psutil.pid_exists(pid) else 0
        return 0

    return eventually(look, what=f"{name} runs")


def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    with supervisor(tmp_path, web=WAITS, worker=WAITS):
        web, worker = running(tmp_path, "web"), running(tmp_path, "worker")
        os.kill(web, signal.SIGKILL)
        assert running(tmp_path, "web", but=web) != web
        assert running(tmp_path, "worker") == worker


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_everything(tmp_path: Path, stop: signal.Signals) -> None:
    with supervisor(tmp_path, web=FORKS, worker=WAITS) as process:
        running(tmp_path, "worker")
        eventually(lambda: psutil.Process(running(tmp_path, "web")).children(), what="web has forked")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 3
        process.send_signal(stop)
        assert process.wait(timeout=20) == 0
        assert psutil.wait_procs(family, timeout=10)[1] == []
        assert list(tmp_path.glob("*.pid")) == []


def test_a_deaf_process_is_killed_after_the_grace(tmp_path: Path) -> None:
    with supervisor(tmp_path, deaf=DEAF) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "deaf\n"
        deaf = psutil.Process(running(tmp_path, "deaf"))
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert not deaf.is_running()


def test_a_killed_supervisor_leaves_no_orphan(tmp_path: Path) -> None:
    with supervisor(tmp_path, web=WAITS, worker=WAITS) as process:
        running(tmp_path, "web"), running(tmp_path, "worker")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 2
        process.kill()
        assert psutil.wait_procs(family, timeout=10)[1] == []


def test_a_process_that_keeps_failing_is_told_and_tried_again(tmp_path: Path) -> None:
    with supervisor(tmp_path, broken=FAILS) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
    assert lines == [
        "broken ended (exit code 3); again in 0.1 s\n",
        "broken ended (exit code 3); again in 0.1 s\n",
        "broken ended (exit code 3); again in 0.2 s\n",
    ]


def test_a_second_supervisor_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with supervisor(tmp_path, web=WAITS) as process:
        running(tmp_path, "web")
        with pytest.raises(AlreadyRunning, match=f"process {process.pid}"), exclusive(tmp_path):
            pytest.fail("two supervisors on one folder")
        process.kill()
        process.wait(timeout=10)
        with exclusive(tmp_path):
            assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


@given(lifetimes=st.lists(st.floats(0, 100, allow_nan=False), max_size=30))
def test_back_off_stays_within_its_bounds(lifetimes: list[float]) -> None:
    backoff, pause = Backoff(), 0.0
    for lifetime in lifetimes:
        after = backoff.after(pause, lifetime)
        assert backoff.first <= after <= backoff.longest
        assert after == backoff.first if lifetime >= backoff.stable else after >= min(pause * 2, backoff.longest)
        pause = after
