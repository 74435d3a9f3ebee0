"""What a browser shows when something is wrong."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


def signed_in(*, is_superuser: bool) -> Client:
    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    user = User.objects.create_user("kim", is_staff=True, is_superuser=is_superuser)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_page_that_is_not_there() -> None:
    response = signed_in(is_superuser=True).get("/rounds/round-1-none/")
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()


def test_a_page_that_is_not_for_the_role() -> None:
    response = signed_in(is_superuser=False).get("/rounds/")
    assert response.status_code == 403
    page = response.content.decode()
    assert "This is not for your role" in page
    assert 'href="/rounds/"' not in page, "the navigation offers only what opens"


def test_an_error_of_the_coordinator_shows_nothing_of_its_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr("flxdr.dashboard.rounds.views.models_with_rounds", fail)
    response = signed_in(is_superuser=True).get("/rounds/")
    assert response.status_code == 500
    page = response.content.decode()
    assert "met an error of its own" in page
    assert "secret" not in page
