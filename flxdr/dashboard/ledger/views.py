"""The ledger: its blocks."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from flxdr.dashboard.access import page
from flxdr.dashboard.paging import Pages, Window
from ledger.selectors import blocks_page


@page("ledger.view_block")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All blocks, newest first."""
    window = Window.of(request)
    blocks, total = blocks_page(window.limit, window.offset)
    return render(request, "dashboard/ledger/index.html", {"pages": Pages(blocks, total, window)})
