"""The demo as a newcomer runs it, and what it withstands."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.processes import REPOSITORY, clean_environment, eventually, free_port

DATA = os.environ.get("DATA", "")


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "manage.py"), "demo"],
        cwd=REPOSITORY,
        env=clean_environment(
            {"FL_DATA_DIR": str(folder), "BACKEND_PORT": str(free_port()), "DATA": "", "KEEP": "", **variables}
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_kill_9_of_worker_and_web_in_the_middle_of_a_round(tmp_path: Path) -> None:
    """Every round still ends in one release, and every check of the demo holds."""
    demo = start(tmp_path, DEMO_EXIT="1")
    assert demo.stdout is not None
    for line in demo.stdout:
        if "round 3 of 10: collection" in line:
            break
    run = tmp_path / "demo" / "coordinator" / "run"
    for part in ("worker", "web"):
        os.kill(int((run / f"{part}.pid").read_text()), signal.SIGKILL)
    output, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, output
    result = json.loads((tmp_path / "demo" / "result.json").read_text())
    assert [check["holds"] for check in result["checks"]] == [True, True, True, True]
    assert len(set(result["rounds"])) == 14


def test_it_stays_until_it_is_stopped_and_leaves_nothing_running(tmp_path: Path) -> None:
    demo = start(tmp_path, DEMO_EXIT="")
    assert demo.stdout is not None
    for line in demo.stdout:
        if "members: 5 of 5" in line:
            break
    family = psutil.Process(demo.pid).children(recursive=True)
    assert len(family) >= 9  # up, web with its workers, worker, beat, five agents
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=60)
    eventually(lambda: not any(process.is_running() for process in family), what="everything has ended")


if DATA:

    def test_on_real_captures(tmp_path: Path) -> None:
        demo = start(tmp_path, DEMO_EXIT="1", DATA=str(Path(DATA).resolve()))
        output, _ = demo.communicate(timeout=360)
        assert demo.returncode == 0, output
        result = json.loads((tmp_path / "demo" / "result.json").read_text())
        assert [check["holds"] for check in result["checks"]] == [True, True, True, True]
