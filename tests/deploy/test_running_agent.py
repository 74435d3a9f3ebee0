"""The agent's image and its systemd unit: both run for real, and are stopped in the middle of a training.

The unit's command runs with what the unit confines it to, as far as that can be had without systemd: its user, a system
that is read-only but for its state folder, and no memory that is both written and executed. The system call filter, the
address families and the limits are not applied.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER
from tests.deploy import compose, units
from tests.e2e.federation import Federation, running
from tests.e2e.organizations import Organization
from tests.support.dockerfile import parse
from tests.support.image import Container, Image, build, build_context
from tests.support.isolation import PATH, PYTHON, Mount
from tests.support.processes import API, REPOSITORY, Coordinator, eventually
from tests.support.wheel import build_wheel

NO_WRITABLE_CODE = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""PR_SET_MDWE, which is MemoryDenyWriteExecute of systemd: inherited by what is started."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    context = build_context(REPOSITORY, folder / "context")
    with build(parse(REPOSITORY / "Dockerfile"), "agent", context=context, scratch=folder / "stages") as image:
        yield image


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Three members, whose agents nobody runs any more, in a round whose training takes a while."""
    folder = tmp_path_factory.mktemp("federation")
    for place in (folder, folder.parent):
        place.chmod(0o755)
    with (
        Coordinator(folder / "state") as coordinator,
        running(coordinator, folder / "organizations", members=3) as federation,
    ):
        assert federation.finish(federation.start_round(EDGE_NORMALISER)) == "completed"
        started = httpx.post(
            f"{coordinator.url}{API}/federation/round/start",
            json={"model": EDGE_CLASSIFIER, "min_orgs_required": 3, "local": {"epochs": 25, "batch_size": 1}},
            timeout=20,
        )
        assert started.is_success, started.text
        yield federation


class Service:
    """A member's agent as a service: the member's folder and records, where the service finds them."""

    def __init__(self, image: Image, federation: Federation, member: Organization, folder: Path) -> None:
        self.log = folder / "agent.log"
        self._image = image
        self._federation = federation
        self._home = folder / "home"
        shutil.copytree(member.agent.home.folder, self._home)
        self._records = folder / "records"
        self._records.mkdir()
        (source,) = (Path(path) for path in member.agent.config.data.paths)
        shutil.copy(source, self._records)
        config = self._home / "agent.toml"
        config.write_text(config.read_text().replace(str(source), f"/records/{source.name}"))
        for path in (self._home, *self._home.rglob("*")):
            os.chown(path, 10001, 10001)

    def start(self, command: Sequence[str], *, home: str, **environment: str) -> Container:
        self._image.root.run(["mkdir", "--parents", home, "/records"])
        mounts = [Mount(home, self._home), Mount("/records", self._records, read_only=True)]
        return Container(self._image, command, environment=environment, mounts=mounts, log=self.log)

    def stop_in_training_and_go_on(self, command: Sequence[str], *, home: str, **environment: str) -> None:
        """Stop it while it trains: it ends at once and well, has sent nothing, and sends its update after a start."""
        before = self._updates()
        first = self.start(command, home=home, **environment)
        eventually(lambda: first.process.poll() is not None or self._said("Training"), what="it trains", timeout=90)
        asked = time.monotonic()
        assert first.stop(timeout=30) == 0, first.tail()
        assert time.monotonic() - asked < 15
        assert self._said("Stopped."), first.tail()
        assert self._updates() == before
        with self.start(command, home=home, **environment) as second:
            eventually(
                lambda: second.process.poll() is not None or self._updates() == before + 1,
                what=f"it goes on\n{second.tail()}",
                timeout=180,
                every=0.5,
            )
            assert second.process.poll() is None, second.tail()
        assert self._updates() == before + 1

    def _said(self, text: str) -> bool:
        return text in self.log.read_text(errors="replace")

    def _updates(self) -> int:
        """How many updates the open round has."""
        current = self._federation.get(f"federation/rounds?model={EDGE_CLASSIFIER}")["rounds"][0]
        return int(self._federation.get(f"federation/round/{current['round_id']}/status")["orgs_submitted"])


def test_the_image_is_the_agent_alone(image: Image) -> None:
    probe = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, ('django', 'celery', 'psycopg', 'pip'))))"
    image.root.run(["/opt/flxdr/bin/python", "-c", probe])
    assert image.left_out == []


def test_the_container_goes_on_after_a_stop(image: Image, federation: Federation, tmp_path: Path) -> None:
    service = Service(image, federation, federation.members[1], tmp_path)
    compose_command = compose.read(REPOSITORY / "deploy/agent-compose.yml", {"FLOW_RECORDS": "/"})["services"]["agent"]
    service.stop_in_training_and_go_on(compose_command["command"], home="/data")


def test_the_systemd_service_goes_on_after_a_stop(image: Image, federation: Federation, tmp_path: Path) -> None:
    unit = units.read("flxdr-agent.service")
    program = Path(unit.command()[0])
    wheel = build_wheel(tmp_path)
    image.root.copy_in(wheel, f"/build/{wheel.name}")
    install = f"python -m pip --python /opt/flxdr/bin/python install --no-deps --no-index /build/{wheel.name}"
    image.root.run(["sh", "-c", f"{install} && ln --symbolic /opt/flxdr {program.parents[1]}"], {"PATH": PATH})
    (tmp_path / "service").mkdir()
    as_unit = replace(image, starts={}, environment={"PATH": PATH}, cwd=unit.one("WorkingDirectory"))
    service = Service(as_unit, federation, federation.members[2], tmp_path / "service")
    confined = [f"{PYTHON}/bin/python3", "-c", NO_WRITABLE_CODE, *unit.command()]
    service.stop_in_training_and_go_on(confined, home=f"/var/lib/{unit.one('StateDirectory')}", **unit.environment())
