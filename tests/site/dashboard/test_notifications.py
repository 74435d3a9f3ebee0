"""The notifications page: what is open, what was, who is told, and whether anybody looked."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import Organization
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.dashboard.paging import PAGE_SIZE
from flxdr.env import Env
from flxdr.notifications.models import LastReview, Notification
from flxdr.notifications.selectors import STALE_AFTER, is_stale
from flxdr.notifications.services.review import review

pytestmark = pytest.mark.django_db
PAGE = "/notifications/"


def client_of(user: User) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def operator() -> Client:
    return client_of(User.objects.create_superuser("operator"))


def shown(client: Client, query: str = "") -> str:
    response = client.get(f"{PAGE}{query}")
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_what_is_open_leads_to_where_an_operator_acts(operator: Client) -> None:
    Organization.objects.create(org_id="org-alpha", name="Alpha")
    review(clock=SystemClock())
    page = shown(operator)
    sentence = "org-alpha has registered and waits for an operator&#x27;s approval."
    assert f'<a href="/organizations/org-alpha/">{sentence}</a>' in page
    assert '<span class="badge none">information</span>' in page
    Organization.objects.update(status="active")
    review(clock=SystemClock())
    page = shown(operator)
    assert "Nothing asks for an operator" in page
    assert f"{sentence} <span" in page
    assert "org-alpha waits for no approval any more." in page


def test_the_number_stands_on_every_page(operator: Client) -> None:
    for number in range(3):
        Organization.objects.create(org_id=f"org-{number}", name="x")
    told = re.compile(r"Notifications\s*<strong>3</strong>")
    assert not told.search(operator.get("/").content.decode())
    review(clock=SystemClock())
    for path in ("/", "/rounds/", PAGE):
        assert len(told.findall(operator.get(path).content.decode())) == 2, "at the side, and in the menu"


def test_nothing_is_claimed_while_nobody_looks(operator: Client) -> None:
    page = shown(operator)
    assert "Stale: the worker looks every half minute, and did not." in page
    assert "Nothing asks for an operator" not in page
    review(clock=SystemClock())
    page = shown(operator)
    assert "Stale" not in page
    assert "Nothing asks for an operator" in page
    LastReview.objects.update(at=SystemClock().now() - STALE_AFTER - timedelta(seconds=1))
    assert "Stale" in shown(operator)


def test_when_a_review_is_old() -> None:
    now = datetime(2100, 1, 1, tzinfo=UTC)
    assert [is_stale(now - age, now) for age in (timedelta(), STALE_AFTER, STALE_AFTER + timedelta(seconds=1))] == [
        False,
        False,
        True,
    ]
    assert is_stale(None, now)


def test_the_last_review_is_one_row(clock: ManualClock) -> None:
    review(clock=clock)
    clock.advance(timedelta(minutes=1))
    review(clock=clock)
    assert [each.at for each in LastReview.objects.all()] == [clock.now()]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "shown here only"),
        (
            {"notify_email": ("kim@example.org",), "notify_from": "f@example.org", "notify_smtp_url": "smtp://m"},
            "told by e-mail",
        ),
        ({"notify_webhook_url": "https://hooks.example.org/secret", "notify_webhook_secret": "s"}, "told by webhook"),
    ],
)
def test_who_is_told(operator: Client, env: Callable[..., Env], changes: dict[str, object], told: str) -> None:
    env(**changes)
    page = shown(operator)
    assert [each for each in ("shown here only", "told by e-mail", "told by webhook") if each in page] == [told]
    assert "hooks.example.org" not in page


def test_history_comes_in_pages(operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    Notification.objects.bulk_create(
        Notification(
            kind="organization_waiting",
            subject=f"org-{number:03}",
            severity="info",
            data={"org_id": f"org-{number:03}"},
            opened_at=at,
            closed_at=at + timedelta(minutes=number),
        )
        for number in range(PAGE_SIZE + 1)
    )
    with django_assert_max_num_queries(10):
        first = shown(operator)
    assert f"org-{PAGE_SIZE:03} has registered" in first
    assert "org-000 has registered" not in first
    assert "org-000 has registered" in shown(operator, "?page=2")


@pytest.mark.parametrize("page", ["abc", "0", "-1", "99999999", "9" * 30, "%00", "2.5"])
def test_pages_that_there_are_not(operator: Client, page: str) -> None:
    review(clock=SystemClock())
    assert "None has closed yet" in shown(operator, f"?page={page}")


def test_what_others_wrote_is_text(operator: Client) -> None:
    data = {"round_id": "r-1", "number": 1, "model": "<b>m</b>", "code": "c", "reason": "<script>alert(1)</script>"}
    Notification.objects.create(
        kind="round_failed", subject="r-1", severity="warning", data=data, opened_at=SystemClock().now()
    )
    page = shown(operator)
    assert "<script>alert" not in page
    assert "&lt;b&gt;m&lt;/b&gt; failed (c): &lt;script&gt;alert(1)&lt;/script&gt;." in page


def test_the_page_and_its_link_need_a_permission() -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_traininground"))
    client = client_of(viewer)
    assert client.get(PAGE).status_code == 403
    assert PAGE not in client.get("/rounds/").content.decode()
    viewer.user_permissions.add(Permission.objects.get(codename="view_notification"))
    assert client.get(PAGE).status_code == 200
    assert PAGE in client.get("/rounds/").content.decode()
    assert Client(headers={"host": "localhost"}).get(PAGE)["Location"].startswith("/admin/login/")
