"""Browser tests are collected where a Chromium is installed (`make browser`), and always in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page

from tests.browser.signing_in import PASSWORD
from tests.support.browser import Witness, chromium, launched_browser

if chromium() is None and os.environ.get("CI") != "true":
    collect_ignore_glob = ["test_*.py"]

# Playwright's synchronous API runs an event loop in this thread; Django must not take the tests for a coroutine.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launched_browser() as browser:
        yield browser


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def page(browser: Browser, witness: Witness) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    witness.attend(page)
    yield page
    context.close()


@pytest.fixture
def operator(transactional_db: None) -> User:
    return User.objects.create_superuser("operator", password=PASSWORD)
