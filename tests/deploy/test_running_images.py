"""The coordinator's image, built by its Dockerfile's own instructions, running docker-compose.yml's own services.

PostgreSQL is this machine's, and Redis runs with the file's own command on another port; everything else is what the
files say (`tests.support.image` has what is imitated and what is not).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from flxdr.core.version import VERSION
from tests.deploy import compose, manifests
from tests.support.dockerfile import parse
from tests.support.image import NOT_EXECUTED, Container, Image, build, build_context
from tests.support.isolation import Mount
from tests.support.processes import API, REPOSITORY, eventually, free_port
from tests.support.services import postgres_database, redis_answers, redis_binary

HOST = "fl.example.org"
PROXIED = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    folder = tmp_path_factory.mktemp("image")
    context = build_context(REPOSITORY, folder / "context")
    with build(parse(REPOSITORY / "Dockerfile"), "coordinator", context=context, scratch=folder / "stages") as image:
        yield image


class Project:
    """A compose project: its folder with the secrets that an operator made, its volumes, its containers."""

    def __init__(self, image: Image, folder: Path, *, database: str, redis_url: str) -> None:
        self.image = image
        self.folder = folder
        self.port = free_port()
        self.redis_url = redis_url
        self._stack = ExitStack()
        self.services = compose.read(REPOSITORY / "docker-compose.yml", {"FL_ALLOWED_HOSTS": HOST})["services"]
        for name, mode in (("state", 0o750), ("sockets", 0o750), ("backups", 0o750)):
            (folder / name).mkdir()
            (folder / name).chmod(mode)
            os.chown(folder / name, 10001, 10001)
        (folder / "secrets").mkdir(mode=0o700)
        image.root.run(["mkdir", "--parents", "/run/secrets", "/backups", "/secrets"])
        made = self.container(
            ["python", "manage.py", "generate_keys", "--folder", "/secrets"],
            mounts=[Mount("/secrets", folder / "secrets"), Mount("/data")],
            user="0:0",
        )
        assert made.wait() == 0, made.tail()
        (folder / "secrets" / "DATABASE_URL").write_text(database)
        (folder / "secrets" / "REDIS_URL").write_text(redis_url)

    def container(self, command: list[str], *, mounts: list[Mount], user: str | None = None, **more: str) -> Container:
        log = self.folder / f"{time.monotonic_ns()}.log"
        return Container(self.image, command, environment=more, mounts=mounts, log=log, user=user)

    def start(self, name: str, **overrides: str) -> Container:
        """A service as the file describes it, with this machine's ports and addresses."""
        service = self.services[name]
        environment = {
            **service["environment"],
            "BACKEND_PORT": str(self.port),
            "REDIS_URL": self.redis_url,
            **overrides,
        }
        started = self.container(
            [word.replace(":8000", f":{self.port}") for word in service["command"]],
            mounts=[*self._volumes(service), *self._secrets(service)],
            **environment,
        )
        self._stack.callback(started.stop)
        return started

    def start_pod(self, container: Mapping[str, Any]) -> Container:
        """A container of the Kubernetes manifests, with this machine's port and addresses."""
        sources = {"/data": self.folder / "state", "/run/secrets/flxdr": self._secret_volume(), "/tmp": None}
        mounts = [
            Mount(mount["mountPath"], sources[mount["mountPath"]], mount.get("readOnly", False))
            for mount in container["volumeMounts"]
        ]
        self.image.root.run(["mkdir", "--parents", *sources])
        started = self.container(
            [word.replace(":8000", f":{self.port}") for word in container["command"]],
            mounts=mounts,
            **manifests.settings(),
        )
        self._stack.callback(started.stop)
        return started

    def _secret_volume(self) -> Path:
        """What a kubelet makes of a Secret with `fsGroup` and `defaultMode: 0440`."""
        volume = self.folder / "secret-volume"
        if not volume.exists():
            shutil.copytree(self.folder / "secrets", volume)
            for path in (volume, *volume.iterdir()):
                os.chown(path, 0, 10001)
                path.chmod(0o750 if path.is_dir() else 0o440)
        return volume

    def check(self, name: str, container: Container) -> bool:
        """The service's health check, else the image's."""
        declared = self.services[name].get("healthcheck", {}).get("test", ["CMD", *self.image.healthcheck])
        assert declared[0] == "CMD"
        return container.execute(declared[1:]) == 0

    def connects(self, *, as_user: str) -> bool:
        """Whether that user of another container, which has the volume too, can open the socket."""
        opening = "import socket; socket.socket(socket.AF_UNIX).connect('/run/flxdr/web.sock')"
        mounts = [Mount("/run/flxdr", self.folder / "sockets")]
        return self.container(["python", "-c", opening], mounts=mounts, user=as_user).wait() == 0

    def await_health(self, name: str, container: Container) -> None:
        def look() -> bool:
            assert container.process.poll() is None, container.tail()
            return self.check(name, container)

        eventually(look, what=f"{name} is healthy\n{container.tail()}", timeout=90, every=0.5)

    def stop(self) -> None:
        self._stack.close()

    def get(self, path: str, headers: Mapping[str, str] = PROXIED) -> httpx.Response:
        """Over the socket that nginx uses."""
        transport = httpx.HTTPTransport(uds=str(self.folder / "sockets" / "web.sock"))
        with httpx.Client(transport=transport, timeout=20) as client:
            return client.get(f"http://{HOST}{path}", headers=headers)

    def _volumes(self, service: Mapping[str, Any]) -> Iterator[Mount]:
        for source, target, read_only in compose.bind_mounts(service):
            yield Mount(target, self.folder / source.removeprefix("./"), read_only)

    def _secrets(self, service: Mapping[str, Any]) -> Iterator[Mount]:
        for target, name in compose.mounted_secrets(service).items():
            self.image.root.run(["touch", target])
            yield Mount(target, self.folder / "secrets" / name, read_only=True)


@contextmanager
def redis_of_the_file(folder: Path) -> Iterator[str]:
    """Redis with the command of docker-compose.yml, on a port of its own; its address."""
    folder.mkdir()
    command = compose.read(REPOSITORY / "docker-compose.yml", {"FL_ALLOWED_HOSTS": HOST})["services"]["redis"][
        "command"
    ]
    port = free_port()
    place = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    server = subprocess.Popen([redis_binary(), *command[1:], *place], stdout=subprocess.DEVNULL)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        eventually(lambda: redis_answers(url), what="redis answers")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


@contextmanager
def project(image: Image, folder: Path) -> Iterator[Project]:
    folder.chmod(0o755)
    with ExitStack() as stack:
        database = stack.enter_context(postgres_database(folder / "services"))
        redis_url = stack.enter_context(redis_of_the_file(folder / "redis"))
        started = Project(image, folder, database=database, redis_url=redis_url)
        stack.callback(started.stop)
        yield started


@pytest.fixture(scope="module")
def running(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Migrated, with nothing started yet."""
    with project(image, tmp_path_factory.mktemp("project")) as made:
        migrate = made.start("migrate")
        assert migrate.wait() == 0, migrate.tail()
        yield made


def test_only_system_packages_were_left_out_of_the_build(image: Image) -> None:
    assert all(line.startswith(NOT_EXECUTED) for line in image.left_out)
    assert len(image.left_out) == 1


def test_the_image_holds_the_pinned_packages_and_no_installer(image: Image) -> None:
    probe = "import importlib.util as u, django, celery, gunicorn, psycopg; assert u.find_spec('pip') is None"
    image.root.run(["/opt/flxdr/bin/python", "-c", probe])


def test_a_container_writes_nowhere_but_where_it_is_meant_to(running: Project) -> None:
    places = ["/app", "/opt/flxdr", "/etc", "/run", "/data", "/tmp", "/run/flxdr"]
    script = "for place in " + " ".join(places) + "; do touch $place/probe 2>/dev/null && echo $place; done; id -u"
    mounts = [Mount("/data", running.folder / "state"), Mount("/run/flxdr", running.folder / "sockets")]
    tried = running.container(["sh", "-c", script], mounts=mounts)
    assert tried.wait() == 0
    assert tried.tail().split() == ["/data", "/tmp", "/run/flxdr", "10001"]


def test_the_services_serve_a_request_and_run_its_task(running: Project) -> None:
    """web, worker and beat as the file starts them: healthy, and together they verify the chain in the background."""
    started = {name: running.start(name) for name in ("web", "worker", "beat")}
    for name, container in started.items():
        running.await_health(name, container)
    answer = running.get(f"{API}/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    eventually(lambda: running.get("/readyz").status_code == 200, what="everything is ready", timeout=60)
    assert running.get(f"{API}/info").json()["version"] == VERSION
    assert running.get(f"{API}/federation/organizations").status_code == 401
    assert running.connects(as_user=running.services["nginx"]["user"])
    assert not running.connects(as_user="101:101")
    for name, container in started.items():
        assert container.stop() == 0, f"{name}\n{container.tail()}"
        assert not (name == "web" and running.check(name, container))


def test_a_pod_waits_for_the_migrations_then_answers_its_probes(running: Project) -> None:
    web = manifests.pod("web")
    (waiting,) = web.spec["initContainers"]
    assert running.start_pod(waiting).wait() == 0
    with running.start("worker"), running.start_pod(web.main) as container:
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = web.main[name]["httpGet"]
            headers = {header["name"]: header["value"] for header in probe["httpHeaders"]}

            def answers(path: str = probe["path"], headers: dict[str, str] = headers) -> bool:
                assert container.process.poll() is None, container.tail()
                with suppress(httpx.TransportError):
                    url = f"http://127.0.0.1:{running.port}{path}"
                    return httpx.get(url, headers=headers, timeout=10).status_code == 200
                return False

            eventually(answers, what=f"{name}\n{container.tail()}", timeout=60, every=0.5)


def test_one_container_is_a_whole_coordinator_as_the_guide_starts_it(image: Image, tmp_path: Path) -> None:
    """`docker run -e FL_PRIVACY_EPSILON=1.0 -e FL_BLOCKCHAIN_DB_PATH=/data/fl_blockchain.db -v /data:/data`."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 10001, 10001)
    environment = {"FL_PRIVACY_EPSILON": "1.0", "FL_BLOCKCHAIN_DB_PATH": "/data/fl_blockchain.db"}
    environment["BACKEND_PORT"] = str(free_port())
    mounts = [Mount("/data", state)]
    with Container(image, environment=environment, mounts=mounts, log=tmp_path / "log") as container:

        def healthy() -> bool:
            assert container.process.poll() is None, container.tail()
            return container.execute(image.healthcheck) == 0

        eventually(healthy, what=f"it is healthy\n{container.tail()}", timeout=180, every=0.5)
        assert container.stop() == 0, container.tail()
    assert (state / "fl_blockchain.db").stat().st_uid == 10001


def test_a_worker_that_hangs_is_found(running: Project) -> None:
    with running.start("worker") as worker:
        beats = f"/proc/{worker.process.pid}/root/tmp/flxdr-alive"
        eventually(lambda: os.path.exists(beats), what=f"the first heartbeat\n{worker.tail()}", timeout=60)
        assert running.check("worker", worker)
        worker.process.send_signal(signal.SIGSTOP)
        try:
            old = time.time() - 61  # as if it had been stopped for that long
            os.utime(beats, (old, old))
            assert not running.check("worker", worker)
        finally:
            worker.process.send_signal(signal.SIGCONT)
        eventually(lambda: running.check("worker", worker), what="it beats again")


def test_a_service_refuses_to_start_without_its_secrets(running: Project) -> None:
    refused = running.start("worker", API_HMAC_KEY_FILE="", API_HMAC_KEY="your-secure-key-here")
    assert refused.wait() != 0
    assert "flxdr.E011" in refused.tail()


def test_a_backup_is_made_of_the_project(running: Project) -> None:
    backup = running.start("backup")
    assert backup.wait() == 0, backup.tail()
    (manifest,) = (running.folder / "backups").glob("*/manifest.json")
    assert manifest.stat().st_size > 0


def test_redis_runs_as_the_file_says(running: Project) -> None:
    with redis.Redis.from_url(running.redis_url) as client:
        settings = client.config_get("maxmemory*", "append*")
    assert (settings["maxmemory-policy"], settings["appendonly"], settings["maxmemory"]) == (
        "noeviction",
        "yes",
        str(384 * 2**20),
    )
