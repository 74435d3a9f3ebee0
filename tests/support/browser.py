"""A real browser (Debian's Chromium) for tests: a page that keeps every console message and failed request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


def chromium() -> str | None:
    """Path of the installed browser."""
    return shutil.which("chromium")


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """A headless Chromium for as long as the context lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", *_QUIET])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Witness:
    """What went wrong in a page, in the browser's own words; a breach of the content security policy is among it."""

    complaints: list[str] = field(default_factory=list)

    def attend(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self._request_failed)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request_failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the browser itself gave it up, to go to the next page
            self.complaints.append(f"{request.url}: {request.failure}")
