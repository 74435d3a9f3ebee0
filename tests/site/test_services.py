"""The tests' own PostgreSQL and Redis: what a machine without either gets from the wheels works as well."""

from pathlib import Path

import dj_database_url
import psycopg
import pytest
import redis

from tests.support import services
from tests.support.processes import free_port


@pytest.fixture
def _bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is named, nothing listens, and no server is installed."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(services, "LOCAL_POSTGRES", f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
    monkeypatch.setattr(services, "LOCAL_REDIS", f"redis://127.0.0.1:{free_port()}/0")


@pytest.mark.usefixtures("_bare_machine")
def test_postgresql_from_the_wheel(tmp_path: Path) -> None:
    with services.postgres_database(tmp_path) as url:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        # As the coordinator's settings read the URL.
        read = dj_database_url.parse(url)
        with psycopg.connect(dbname=read["NAME"], user=read["USER"], **read["OPTIONS"]) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (read["NAME"],)


@pytest.mark.usefixtures("_bare_machine")
def test_redis_of_its_own(tmp_path: Path) -> None:
    with services.redis_database(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.set("key", "value")
        assert client.get("key") == b"value"


def test_a_named_server_is_shared_but_no_database_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with services.own_redis_server(tmp_path, free_port()) as server:
        monkeypatch.setenv("REDIS_URL", server)
        with redis.Redis.from_url(f"{server[:-1]}15") as foreign:
            foreign.set("somebody's", "data")
        with services.redis_database(tmp_path) as one, services.redis_database(tmp_path) as other:
            assert len({one, other, f"{server[:-1]}15"}) == 3
            with redis.Redis.from_url(one) as client:
                client.set("key", "value")
            with redis.Redis.from_url(other) as client:
                assert client.get("key") is None
        with redis.Redis.from_url(server) as client:
            assert list(client.info("keyspace")) == ["db15"]  # everything else is empty again
            assert client.info("keyspace")["db15"]["keys"] == 1
