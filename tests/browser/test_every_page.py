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
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from flxdr.env import Env
from tests.browser.signing_in import sign_in
from tests.conftest import SentTasks
from tests.support.browser import Witness
from tests.support.showcase import SHOWN, Showcase
from tests.support.site_map import pages_from

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 780}
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
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    sign_in(page, live_server)
    faults: list[str] = []
    visited = []
    for path in pages_from(page, f"{live_server.url}/"):
        visited.append(path)
        is_admin = path.startswith("/admin/")
        if not is_admin:
            faults += [f"{path} {fault}" for fault in violations(page)]
            page.emulate_media(color_scheme="dark")
            faults += [f"{path} dark {fault}" for fault in violations(page)]
            page.emulate_media(color_scheme="light")
            _keep(page, path, "desk")
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        if not is_admin and (over := sideways(page)) > 0:
            faults.append(f"{path} is {over} px wider than a phone")
        _keep(page, path, "phone")
        page.set_viewport_size(DESK)  # type: ignore[arg-type]
        faults += [f"{path} {complaint}" for complaint in witness.complaints]
        witness.complaints.clear()
    assert set(PAGES) <= set(visited)
    assert len(visited) > 40, "the administration's pages are among them"
    assert not faults, "\n".join(faults)


def _keep(page: Page, path: str, size: str) -> None:
    if os.environ.get("REFRESH_SCREENSHOTS") and not path.startswith("/admin/"):
        name = path.strip("/").split("/")
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=IMAGES / f"{'-'.join(name[:1]) or 'overview'}-{size}.png")
