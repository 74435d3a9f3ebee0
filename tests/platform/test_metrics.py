"""`/metrics`: who may read it, what it says of requests, and that one broken part takes nothing from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
from django.conf import LazySettings
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from flxdr.env import Env
from flxdr.platform.metrics import figures
from flxdr.platform.metrics.figures import Figure, Sample, Source

TOKEN = "scraper-0123456789abcdef0123456789abcdef"
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]

pytestmark = pytest.mark.django_db


@pytest.fixture
def here() -> Client:
    """A program on this machine."""
    return Client(headers={"host": "localhost"}, REMOTE_ADDR="127.0.0.1", raise_request_exception=False)


def elsewhere(**headers: str) -> Client:
    return Client(headers={"host": "localhost", **headers}, REMOTE_ADDR="192.0.2.7")


def values(client: Client) -> Values:
    """Every sample of an answer that Prometheus' own parser reads."""
    response = client.get("/metrics")
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(response.content.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(found: Values, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def rise(client: Client, between: Callable[[], object]) -> Callable[..., float]:
    """What `between` adds to counters, by name and labels."""
    before = values(client)
    between()
    after = values(client)
    return lambda name, **labels: value(after, name, **labels) - value(before, name, **labels)


def test_without_a_token_development_shows_them_to_this_machine_alone(here: Client) -> None:
    assert values(here)
    refused = elsewhere().get("/metrics")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    forwarded = here.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"})
    assert forwarded.status_code == 404


def test_without_a_token_production_has_none(here: Client, env: Callable[..., Env]) -> None:
    env(env="production")
    assert here.get("/metrics").status_code == 404


@pytest.mark.parametrize("mode", ["development", "production"])
def test_the_token_opens_them_from_everywhere(mode: str, here: Client, env: Callable[..., Env]) -> None:
    env(env=mode, metrics_token=TOKEN)
    assert values(elsewhere(authorization=f"Bearer {TOKEN}"))
    assert here.get("/metrics").status_code == 401, "this machine needs it as well"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", TOKEN, f"Basic {TOKEN}", "Bearer é"]
)
def test_anything_else_than_the_token_is_refused(header: str, env: Callable[..., Env]) -> None:
    env(metrics_token=TOKEN)
    response = elsewhere(authorization=header).get("/metrics")
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert "Bearer" in response["WWW-Authenticate"]
    assert TOKEN not in response.content.decode()


def test_it_is_only_read(here: Client) -> None:
    assert here.post("/metrics").status_code == 405
    assert here.head("/metrics").status_code == 200


def test_it_is_no_operation_of_the_api(here: Client) -> None:
    assert b"/metrics" not in here.get("/api/schema/").content


def test_requests_are_counted_by_route_and_never_by_path(here: Client) -> None:
    def ask() -> None:
        here.get("/api/fl-blockchain/federation/round/round-7/status")
        here.get("/api/fl-blockchain/federation/round/round-8/status")
        here.get("/somewhere/made-up-4711")
        here.generic("BREW", "/healthz")

    rose = rise(here, ask)
    route = "api/fl-blockchain/federation/round/<identifier:round_id>/status"
    assert rose("flxdr_http_requests_total", method="GET", route=route, status="4xx") == 2
    assert rose("flxdr_http_request_seconds_count", method="GET", route=route) == 2
    assert rose("flxdr_http_requests_total", method="GET", route="none", status="4xx") == 1
    assert rose("flxdr_http_requests_total", method="other", route="healthz", status="4xx") == 1
    names = {label for _, labels in values(here) for label in labels}
    assert not [label for label in names if "4711" in label[1] or "round-7" in label[1] or label[1] == "BREW"]


def test_bytes_of_bodies_are_counted_whatever_the_header_claims(here: Client) -> None:
    path = "/api/fl-blockchain/federation/round/submit-gradient"

    def ask() -> None:
        here.post(path, b"x" * 1000, content_type="application/json")
        here.get("/healthz", CONTENT_LENGTH="-5")
        here.get("/healthz", CONTENT_LENGTH="many")

    rose = rise(here, ask)
    assert rose("flxdr_http_request_bytes_total", route=path[1:]) == 1000
    assert rose("flxdr_http_request_bytes_total", route="healthz") == 0


def test_only_what_is_being_answered_is_in_progress(here: Client) -> None:
    here.get("/healthz")
    assert value(values(here), "flxdr_http_requests_in_progress", method="GET") == 1, "this very request"


@pytest.fixture
def _broken_part(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure("flxdr_test", "Of a part that is out of order.")

    def read() -> Iterator[Sample]:
        yield figure.at(1)
        raise OSError("no route to the part, password hunter2")

    monkeypatch.setitem(figures._sources, "broken", Source("broken", (figure,), read))


@pytest.mark.usefixtures("_broken_part")
def test_a_part_that_cannot_be_read_says_so_and_takes_nothing_from_the_others(here: Client) -> None:
    text = here.get("/metrics").content.decode()
    found = values(here)
    assert value(found, "flxdr_source_up", source="broken") == 0
    assert {name for name, up in sources_up(found).items() if not up} == {"broken"}
    assert "hunter2" not in text
    assert "# TYPE flxdr_test gauge" in text


def test_every_part_can_be_read(here: Client) -> None:
    up = sources_up(values(here))
    assert set(up) == {source.name for source in figures.sources()}
    assert {"federation", "ledger", "privacy", "platform", "queue", "machine", "notifications"} <= set(up)
    assert all(up.values()), up


def sources_up(found: Values) -> Mapping[str, float]:
    return {dict(labels)["source"]: up for (name, labels), up in found.items() if name == "flxdr_source_up"}


def test_a_database_that_does_not_answer_leaves_the_rest(here: Client, settings: LazySettings) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("the database is away")

    from django.db import connection  # noqa: PLC0415

    with connection.execute_wrapper(refuse):
        up = sources_up(values(here))
    assert (up["machine"], up["queue"]) == (1, 1)
    assert not any(up[name] for name in ("federation", "ledger", "privacy", "platform", "notifications"))


def test_a_sample_has_the_labels_of_its_figure() -> None:
    with pytest.raises(ValueError, match="flxdr_test has the labels"):
        Figure("flxdr_test", "help", ("model",)).at(1)
