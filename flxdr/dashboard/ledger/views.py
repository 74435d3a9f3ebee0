"""The ledger: what is known of it, its blocks, where a model comes from, and what the log commits itself to."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.ledger.downloads import proof_name
from flxdr.dashboard.ledger.evidence import read_evidence
from flxdr.dashboard.ledger.reading import read_block, read_checkpoint, read_explorer
from flxdr.dashboard.ledger.tree import read_lineage
from flxdr.dashboard.paging import Window, cursor_of
from flxdr.dashboard.periods import Period
from ledger.errors import TreeDamaged
from ledger.models import Block
from ledger.selectors.explorer import BlockFilter, models_with_releases


@page("ledger.view_block")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """What is known of the chain, on what evidence, and its blocks, newest first, as far as the filters go."""
    period = Period.of(request)
    wanted = BlockFilter(
        type=request.GET.get("type", ""),
        model_name=request.GET.get("model", ""),
        text=request.GET.get("q", "").strip(),
        since=period.start,
        before=period.end,
    )
    context = {
        "evidence": read_evidence(CLOCK.now(), interval=timedelta(seconds=settings.FLXDR.verify_interval)),
        "explorer": read_explorer(wanted, cursor_of(request)),
        "period": period,
        "wanted": wanted,
        "types": Block.Type.values,
        "models": models_with_releases(),
    }
    return render(request, "dashboard/ledger/index.html", context)


@page("ledger.view_block")
@require_GET
def block(request: HttpRequest, height: int) -> HttpResponse:
    """One block: what it says, who signed it, whether that verifies now, and what an outsider can take away."""
    context = {"reading": read_block(height), "file": proof_name(height)}
    return render(request, "dashboard/ledger/block.html", context)


@page("ledger.view_block")
@require_GET
def lineage(request: HttpRequest, model_hash: str) -> HttpResponse:
    """Where a released model comes from."""
    reading = read_lineage(model_hash, Window.of(request, limit=30))
    return render(request, "dashboard/ledger/lineage.html", {"reading": reading})


@page("ledger.view_block")
@require_GET
def checkpoint(request: HttpRequest) -> HttpResponse:
    """The newest checkpoint, and who cosigned it."""
    try:
        reading = read_checkpoint()
    except TreeDamaged as error:
        messages.error(request, str(error))
        return redirect("ledger:index")
    return render(request, "dashboard/ledger/checkpoint.html", {"reading": reading})
