"""Every page that can be reached by links: no complaint of the browser, accessible, in both themes, on a phone.

`REFRESH_SCREENSHOTS=1` (`make screenshots`) writes the pictures of docs/ on the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.urls import resolve
from playwright.sync_api import Page, ViewportSize, expect
from pytest_django.live_server_helper import LiveServer

from flxdr.env import Env
from tests.browser.pictures import ON_A_PHONE, PICTURES
from tests.browser.signing_in import sign_in
from tests.conftest import SentTasks
from tests.support.browser import Witness
from tests.support.showcase import SHOWN, Showcase
from tests.support.site_map import pages_from

DESK, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=360, height=780)
POCKET = ViewportSize(width=390, height=844)
IMAGES = Path(settings.BASE_DIR) / "docs" / "images" / "dashboard"
PAGES = (
    "/",
    "/rounds/",
    "/organizations/",
    "/ledger/",
    "/privacy/",
    "/models/",
    "/detections/",
    "/notifications/",
    "/audit/",
)


@pytest.fixture
def showcase(
    transactional_db: None, operator: User, sent_tasks: SentTasks, env: Callable[..., Env], data_dir: Path
) -> Showcase:
    env(**SHOWN)
    return Showcase().build()


def violations(page: Page) -> list[str]:
    """What axe-core objects to, shortly."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [f"{each['id']}: {node['target']} {node['html'][:120]}" for each in found for node in each["nodes"][:3]]


def sideways(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_every_page(page: Page, live_server: LiveServer, showcase: Showcase, witness: Witness) -> None:
    visited, faults = walked(page, live_server, witness)
    assert set(PAGES) <= set(visited)
    assert len(visited) > 40, "the administration's pages are among them"
    assert not faults, "\n".join(faults)


def test_every_page_of_a_coordinator_that_has_just_started(
    page: Page, live_server: LiveServer, operator: User, witness: Witness
) -> None:
    visited, faults = walked(page, live_server, witness, leaving_out="/admin/")
    assert set(PAGES) <= set(visited)
    assert not faults, "\n".join(faults)


def walked(
    page: Page, live_server: LiveServer, witness: Witness, *, leaving_out: str = ""
) -> tuple[list[str], list[str]]:
    """The pages that were visited, and what was wrong with them; of the administration only what the browser says."""
    page.set_viewport_size(DESK)
    sign_in(page, live_server)
    visited: list[str] = []
    faults: list[str] = []
    kept: set[str] = set()
    for path in pages_from(page, f"{live_server.url}/", leaving_out=leaving_out):
        visited.append(path)
        if not path.startswith("/admin/"):
            faults += [f"{path} {fault}" for fault in _looked_at(page)]
        _keep(page, path, kept)
        faults += [f"{path} {complaint}" for complaint in witness.complaints]
        witness.complaints.clear()
    return visited, faults


def _looked_at(page: Page) -> list[str]:
    faults = violations(page)
    page.emulate_media(color_scheme="dark")
    faults += [f"dark {fault}" for fault in violations(page)]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    over = sideways(page)
    page.set_viewport_size(DESK)
    return [*faults, f"is {over} px wider than a phone"] if over > 0 else faults


def _keep(page: Page, path: str, kept: set[str]) -> None:
    """The picture of a page for docs/, of the first page of its kind."""
    name = PICTURES.get(resolve(path).view_name)
    if not os.environ.get("REFRESH_SCREENSHOTS") or name is None or name in kept:
        return
    kept.add(name)
    if page.locator("[data-refresh-status]").count():
        expect(page.locator("[data-refresh-status]")).to_have_text("live", timeout=20_000)
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size(DESK)
    page.screenshot(path=IMAGES / f"{name}.png")
    if name in ON_A_PHONE:
        page.set_viewport_size(POCKET)
        page.screenshot(path=IMAGES / f"{name}-phone.png")
        page.set_viewport_size(DESK)
