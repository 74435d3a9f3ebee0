"""What the members decide: proposals, who may vote, and the one thing that an operator proposes here."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from flxdr.core.errors import FlxdrError, Malformed
from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.ledger.council import read_governance, read_proposals
from flxdr.dashboard.ledger.forms import WithdrawalForm
from flxdr.dashboard.paging import Window
from flxdr.platform.auth.principal import actor_of
from ledger import selectors
from ledger.errors import BlockMissing
from ledger.models import Proposal
from ledger.selectors.explorer import withdrawal_of
from ledger.services.governance import propose_withdrawal


@page("ledger.view_proposal")
@require_GET
def proposals(request: HttpRequest) -> HttpResponse:
    """Open, queued and ended proposals with the votes on them."""
    number = request.GET.get("number", "")
    context = {
        "reading": read_proposals(
            Window.of(request, limit=20),
            status=request.GET.get("status", ""),
            number=int(number) if number.isascii() and number.isdecimal() and len(number) < 16 else None,
        ),
        "statuses": Proposal.Status.values,
        "status": request.GET.get("status", ""),
        "number": number,
    }
    return render(request, "dashboard/ledger/proposals.html", context)


@page("ledger.view_block")
@require_GET
def governance(request: HttpRequest) -> HttpResponse:
    """The policy and the keys in force, and every block that changed them, if they can be read."""
    try:
        reading = read_governance(Window.of(request))
    except Malformed as error:
        return render(request, "dashboard/ledger/unreadable.html", {"error": error})
    return render(request, "dashboard/ledger/governance.html", {"reading": reading})


@page("ledger.change_block")
@require_http_methods(["GET", "POST"])
def withdraw(request: HttpRequest, height: int) -> HttpResponse:
    """Propose that a release is used no more; the members decide."""
    block = selectors.block_at(height)
    if block.model_name is None or block.model_version is None:
        raise BlockMissing(f"block {height} releases no model")
    form = WithdrawalForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            proposal = propose_withdrawal(
                model_name=block.model_name,
                model_version=block.model_version,
                reason=form.cleaned_data["reason"],
                proposer=None,
                actor=actor_of(request),
                clock=CLOCK,
            )
        except FlxdrError as error:
            form.add_error(None, str(error))
        else:
            text = _("The withdrawal is proposal %(number)s. The members decide.") % {"number": proposal.pk}
            messages.success(request, text)
            return redirect("ledger:proposals")
    context = {"release": block, "form": form, "withdrawal": withdrawal_of(block)}
    return render(request, "dashboard/ledger/withdraw.html", context)
