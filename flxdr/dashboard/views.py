"""The operator's pages: read, render, and one button."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import conditional_page, require_GET, require_POST

from flxdr.core.clock import SystemClock
from flxdr.dashboard.overview import VERIFIED, read_overview
from flxdr.platform.audit import record_event
from ledger.services.verification import verify_ledger


@staff_member_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The round in progress, the organisations, the budget and the chain."""
    context = {"overview": read_overview(SystemClock().now()), "development": not settings.FLXDR.is_production}
    return render(request, "dashboard/overview.html", context)


@staff_member_required
@require_GET
@conditional_page
def overview_panels(request: HttpRequest) -> HttpResponse:
    """The overview's panels alone, for the page that refreshes itself: a 304 while nothing changed."""
    return render(request, "dashboard/panels.html", {"overview": read_overview(SystemClock().now())})


@staff_member_required
@require_POST
def verify_chain(request: HttpRequest) -> HttpResponse:
    """Run a full verification and keep its outcome as the evidence for the badge."""
    clock = SystemClock()
    report = verify_ledger(clock=clock)
    bad = report.first_bad
    outcome = {
        "valid": report.chain_valid,
        "height": report.blocks_verified - 1,
        "head": report.last_block_hash,
        "first_bad": {"height": bad.height, "code": bad.code, "field": bad.field} if bad else None,
        "warnings": len(report.warnings),
    }
    with transaction.atomic():
        record_event(kind=VERIFIED, actor=request.user.get_username(), subject="chain", data=outcome, clock=clock)
    if bad is None:
        messages.success(request, f"All {report.blocks_verified} blocks verify.")
    else:
        messages.error(request, f"Block {bad.height} does not verify: {bad.code} ({bad.field}).")
    return redirect("overview")
