"""Templates may show how many notifications are open, to staff, and pay for it only if they do."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.template import RequestContext, Template
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries

from flxdr.core.clock import ManualClock
from flxdr.notifications.models import Notification

pytestmark = pytest.mark.django_db
BELL = "{% if open_notification_count %}{{ open_notification_count }}!{% endif %}"


def rendered(text: str, user: object) -> str:
    request = RequestFactory().get("/")
    if user is not None:
        request.user = user  # type: ignore[assignment]
    return Template(text).render(RequestContext(request))


@pytest.fixture
def two_open(clock: ManualClock) -> None:
    for subject in ("a", "b"):
        Notification.objects.create(kind="k", subject=subject, severity="info", opened_at=clock.now())


@pytest.mark.usefixtures("two_open")
def test_staff_see_the_number_for_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        assert rendered(BELL, User(is_staff=True)) == "2!"


@pytest.mark.usefixtures("two_open")
@pytest.mark.parametrize("user", [User(), AnonymousUser(), None], ids=["no staff", "nobody", "failed early"])
def test_others_see_none(user: object, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert rendered(BELL, user) == ""


def test_a_page_without_the_number_asks_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert rendered("nothing", User(is_staff=True)) == "nothing"
