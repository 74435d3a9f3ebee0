"""Bounds on requests a minute: who spends which budget, who is never disturbed, and what happens without counters."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import Client

from flxdr.core.clock import SystemClock
from flxdr.core.errors import TooManyRequests
from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.api import throttling
from flxdr.platform.models import UsedToken
from tests.api.callers import ELSEWHERE, Caller, SelfSigning, bearer, operator, organization, refuse_with, stranger
from tests.api.rounds import register
from tests.support.federation import SimulatedFederation
from tests.support.processes import free_port
from tests.support.services import redis_database

pytestmark = pytest.mark.django_db
STATUS = "federation/status"
START_OF_A_MINUTE = 1_800_000_000.0


class Minutes:
    """The time by which requests are counted."""

    def __init__(self) -> None:
        self.now = START_OF_A_MINUTE

    def time(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def minutes(monkeypatch: pytest.MonkeyPatch) -> Minutes:
    shown = Minutes()
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=shown.time, monotonic=time.monotonic))
    monkeypatch.setattr(throttling, "_resting_until", 0.0)
    cache.clear()
    return shown


def member() -> SelfSigning:
    (enrolled,) = SimulatedFederation(SystemClock()).enrol("org-alpha", algorithm=Algorithm.ML_DSA_65)
    assert enrolled.key is not None
    return SelfSigning("org-alpha", enrolled.key)


def statuses(caller: Caller, times: int, path: str = STATUS) -> list[int]:
    return [caller.get(path).status_code for _ in range(times)]


def test_an_organization_has_so_many_a_minute_and_disturbs_nobody(env: Any, minutes: Minutes) -> None:
    register("org-alpha")
    register("org-beta")
    env(throttle_organization=3)
    assert statuses(organization("org-alpha"), 4) == [200, 200, 200, 429]
    assert statuses(organization("org-beta"), 3) == [200, 200, 200]
    assert statuses(operator(), 9) == [200] * 9
    minutes.now += 50
    refused = organization("org-alpha").get(STATUS)
    problem = refuse_with(refused, 429, "too_many_requests")
    assert (problem["retry_after"], refused["Retry-After"]) == (10, "10")
    minutes.now += 10
    assert statuses(organization("org-alpha"), 1) == [200]


def test_a_refused_write_spends_no_token_and_asks_the_database_little(
    env: Any, django_assert_max_num_queries: Any
) -> None:
    alpha = member()
    env(throttle_organization=1)
    assert alpha.get(STATUS).status_code == 200
    with django_assert_max_num_queries(3) as queries:
        refuse_with(alpha.post("federation/round/submit-gradient", {}), 429)
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)
    assert not UsedToken.objects.exists()


def test_nobody_else_burns_an_organizations_budget(env: Any) -> None:
    alpha = member()
    env(throttle_organization=2, throttle_address=5)
    forger = SelfSigning("org-alpha", PrivateKey.generate())
    assert statuses(forger, 8) == [401] * 5 + [429] * 3
    assert statuses(alpha, 2) == [200, 200], "from the same address, and with a budget of its own"


def test_many_organizations_behind_one_address_disturb_each_other_never(env: Any) -> None:
    env(throttle_address=2)
    for number in range(20):
        env(throttle_address=0)
        register(f"org-{number:02}")
        env(throttle_address=2)
        assert statuses(organization(f"org-{number:02}"), 2) == [200, 200]


def test_a_stranger_is_refused_before_anything_is_done(env: Any, django_assert_num_queries: Any) -> None:
    env(throttle_address=2)
    assert statuses(stranger(), 2) == [401, 401]
    with django_assert_num_queries(0):
        refused = stranger().get(STATUS)
    assert refuse_with(refused, 429, "too_many_requests")["retry_after"] == 60
    refuse_with(stranger().get("health"), 429)
    assert Caller(ELSEWHERE | {"REMOTE_ADDR": "203.0.113.10"}).get(STATUS).status_code == 401
    assert statuses(operator(), 3) == [200] * 3


def test_what_was_done_is_told(env: Any) -> None:
    """A forged token on an open operation is refused; a registration that happened is answered, the next one not."""
    env(throttle_address=1)
    assert register("org-alpha").status_code == 200
    assert register("org-beta").status_code == 429
    refuse_with(bearer("forged").post("federation/register", {"org_id": "org-gamma", "org_name": "Gamma"}), 429)


def test_guesses_of_many_passwords_end_at_the_address(env: Any, django_user_model: Any) -> None:
    env(throttle_address=4)
    kim = django_user_model.objects.create_superuser("kim", password="correct horse battery")
    signed_in = Client(REMOTE_ADDR="203.0.113.9")
    signed_in.force_login(kim, backend="django.contrib.auth.backends.ModelBackend")
    guesses = [
        Client(REMOTE_ADDR="203.0.113.9")
        .post("/admin/login/", {"username": f"user-{number}", "password": "guess"})
        .status_code
        for number in range(6)
    ]
    assert guesses == [200] * 4 + [429] * 2
    assert signed_in.get("/").status_code == 200


def test_probes_are_never_counted(env: Any) -> None:
    env(throttle_address=1)
    assert [Client(REMOTE_ADDR="203.0.113.9").get("/healthz").status_code for _ in range(3)] == [200] * 3


def test_zero_counts_nothing(env: Any) -> None:
    env(throttle_address=0, throttle_organization=0)
    register("org-alpha")
    assert statuses(stranger(), 5) == [401] * 5
    assert statuses(organization("org-alpha"), 5) == [200] * 5


def use_redis(settings: LazySettings, url: str) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "flxdr",
            "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        }
    }


def test_processes_share_what_redis_counts(settings: LazySettings, env: Any, tmp_path: Path) -> None:
    """Threads stand for processes: each has its own client. None is lost, and none is let in twice."""
    env(throttle_organization=150)
    with redis_database(tmp_path) as url:
        use_redis(settings, url)

        def admitted(_: int) -> bool:
            try:
                throttling.admit_organization("org-alpha")
            except TooManyRequests:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(admitted, range(400))) == 150


def test_requests_go_on_without_the_counters(
    settings: LazySettings, env: Any, caplog: pytest.LogCaptureFixture
) -> None:
    register("org-alpha")
    use_redis(settings, f"redis://127.0.0.1:{free_port()}/0")
    env(throttle_organization=1, throttle_address=1)
    assert statuses(organization("org-alpha"), 5) == [200] * 5
    assert statuses(stranger(), 5) == [401] * 5
    assert caplog.text.count("requests are not counted") == 1, "asked once, then left alone for a while"
