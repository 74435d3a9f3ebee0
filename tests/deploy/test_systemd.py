"""The systemd units as documents; the agent's runs in `test_running_agent`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from federation.agent.errors import ExitCode
from flxdr.env import Env
from flxdr.platform.configuration import variables_of
from tests.deploy import units

AGENT, COORDINATOR = units.read("flxdr-agent.service"), units.read("flxdr-coordinator.service")
BOTH = pytest.mark.parametrize("unit", [AGENT, COORDINATOR], ids=lambda unit: unit.path.stem)
CONFINED = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "LockPersonality": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateIPC": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
}


@BOTH
def test_services_are_confined(unit: units.Unit) -> None:
    assert {name: unit.one(name) for name in CONFINED} == CONFINED
    assert unit.values["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert unit.one("User") == unit.one("Group") not in ("root", "nobody")
    users = (units.FOLDER / "flxdr.sysusers").read_text()
    assert f"\nu {unit.one('User')} - " in users
    assert unit.one("StateDirectoryMode") == "0700"


@BOTH
def test_services_come_back_after_a_failure(unit: units.Unit) -> None:
    assert unit.one("Restart") == "on-failure"
    assert unit.one("StartLimitIntervalSec") == "0"


def test_the_agent_does_not_come_back_where_going_on_would_be_wrong() -> None:
    kept_down = {int(code) for code in AGENT.one("RestartPreventExitStatus").split()}
    wrong = {ExitCode.USAGE, ExitCode.LOCAL_STATE, ExitCode.CHAIN_CONTRADICTS, ExitCode.PROTOCOL}
    assert kept_down == {int(code) for code in wrong}


def test_the_coordinators_secrets_are_credentials() -> None:
    environment = COORDINATOR.environment()
    files = {name.removesuffix("_FILE"): value for name, value in environment.items() if name.endswith("_FILE")}
    loaded = dict(line.split(":") for line in COORDINATOR.values["LoadCredential"])
    assert files == {name: f"%d/{name}" for name in loaded}
    assert loaded == {name: f"/etc/flxdr/secrets/{name}" for name in loaded}
    declared = {variable.name: variable for variable in variables_of(Env).values()}
    assert all(declared[name].secret for name in files)
    assert {name for name in environment if not name.endswith("_FILE")} <= declared.keys()


def test_the_coordinator_starts_as_on_any_machine() -> None:
    assert COORDINATOR.command()[1:] == ["manage.py", "up"]


if shutil.which("systemd-analyze"):

    @BOTH
    def test_systemd_finds_no_fault(tmp_path: Path, unit: units.Unit) -> None:
        """With a program that exists on this machine in the place of the service's own."""
        copy = tmp_path / unit.path.name
        copy.write_text(unit.path.read_text().replace(f"ExecStart={unit.command()[0]}", "ExecStart=/bin/true"))
        done = _analyze("verify", "--man=no", str(copy))
        assert (done.returncode, done.stderr) == (0, "")

    @BOTH
    def test_systemd_calls_it_well_confined(unit: units.Unit) -> None:
        """`--threshold`: tenths of the exposure that is let through; 0 is best, and an unconfined service has 96."""
        done = _analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(unit.path))
        assert done.returncode == 0, done.stdout

    def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)
