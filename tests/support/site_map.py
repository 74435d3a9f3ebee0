"""Every page of the site, found as a reader finds them: by following links from the first one."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from django.urls import Resolver404, resolve
from playwright.sync_api import Page

_NO_PAGES = ("static", "docs", "schema")
_EACH = 2
"""Pages of one kind (one view) that are visited: enough to see both a first and another row."""


def pages_from(page: Page, start: str, *, leaving_out: str = "") -> Iterator[str]:
    """Visit pages breadth first, and yield the path of each while it is shown; downloads are left alone.

    Args:
        leaving_out: beginning of the paths that are not visited.
    """
    origin = f"{urlsplit(start).scheme}://{urlsplit(start).netloc}"
    waiting, seen, kinds = [urlsplit(start).path], {urlsplit(start).path}, {}  # type: ignore[var-annotated]
    while waiting:
        path = waiting.pop(0)
        kind = _kind(path)
        if kind is None or kinds.get(kind, 0) >= _EACH or (leaving_out and path.startswith(leaving_out)):
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        response = page.goto(f"{origin}{path}")
        assert response is not None
        assert response.ok, f"{path}: {response.status}"
        if "text/html" not in response.headers.get("content-type", ""):
            continue
        page.wait_for_load_state()
        yield path
        for link in page.eval_on_selector_all(
            "a[href]:not([download])", "links => links.map(a => a.getAttribute('href'))"
        ):
            target = urlsplit(urljoin(f"{origin}{path}", link))
            if f"{target.scheme}://{target.netloc}" == origin and target.path not in seen:
                seen.add(target.path)
                waiting.append(target.path)


def _kind(path: str) -> str | None:
    try:
        match = resolve(path)
    except Resolver404:
        return None
    name = match.view_name
    return None if name in _NO_PAGES or name.startswith("admin:logout") else name
