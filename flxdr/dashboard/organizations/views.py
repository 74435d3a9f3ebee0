"""Organisations: the list, one of them, and what operators decide about it."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

import ledger.selectors
from federation.models import Organization
from federation.selectors.organization_list import (
    STATES,
    OrganizationFilter,
    organization_by_id,
    organizations_by_state,
)
from federation.services import enrolment
from flxdr.core.errors import FlxdrError
from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.organizations.decisions import DECISIONS
from flxdr.dashboard.organizations.forms import ReasonForm, RevocationForm
from flxdr.dashboard.organizations.listing import organization_rows
from flxdr.dashboard.organizations.reading import read_organization
from flxdr.dashboard.paging import Pages, Window
from flxdr.platform.auth.principal import actor_of
from ledger.services.governance import propose_revocation


@page("federation.view_organization")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All organisations by name, as far as the filters go."""
    window, now = Window.of(request), CLOCK.now()
    wanted = OrganizationFilter(
        state=request.GET.get("state", ""),
        key_status=request.GET.get("key", ""),
        search=request.GET.get("q", "").replace("\0", "").strip(),
    )
    rows, total = organization_rows(wanted, now, limit=window.limit, offset=window.offset)
    context = {
        "pages": Pages(rows, total, window),
        "wanted": wanted,
        "states": STATES,
        "counts": organizations_by_state(now),
        "key_states": Organization.KeyStatus.values,
        "coordinator_key": ledger.selectors.coordinator_key_id(),
    }
    return render(request, "dashboard/organizations/index.html", context)


@page("federation.view_organization")
@require_GET
def detail(request: HttpRequest, org_id: str) -> HttpResponse:
    """One organisation."""
    shown = read_organization(org_id, CLOCK.now())
    context = {"page": shown, "standing": shown.standing, "organization": shown.standing.organization}
    return render(request, "dashboard/organizations/detail.html", context)


@page("federation.change_organization")
@require_POST
def approve(request: HttpRequest, org_id: str) -> HttpResponse:
    """Let a pending organisation take part."""
    try:
        enrolment.approve(org_id=org_id, actor=actor_of(request), clock=CLOCK)
    except FlxdrError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("%(org)s takes part from now on.") % {"org": org_id})
    return redirect("organizations:detail", org_id)


@page("federation.change_organization")
@require_http_methods(["GET", "POST"])
def decide(request: HttpRequest, org_id: str, name: str) -> HttpResponse:
    """The form of a decision, and the decision."""
    decision = DECISIONS.get(name)
    if decision is None:
        raise Http404
    organization = organization_by_id(org_id)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            said = decision.act(org_id=org_id, reason=form.cleaned_data["reason"], actor=actor_of(request), clock=CLOCK)
        except FlxdrError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, said)
            is_there = Organization.objects.filter(org_id=org_id).exists()
            return redirect("organizations:detail", org_id) if is_there else redirect("organizations:index")
    context = {"organization": organization, "decision": decision, "form": form}
    return render(request, "dashboard/organizations/decide.html", context)


@page("ledger.change_signerkey")
@require_http_methods(["GET", "POST"])
def revoke_key(request: HttpRequest, org_id: str, key_id: str) -> HttpResponse:
    """Propose that a key is taken from its organisation; the members decide."""
    key = next((key for key in ledger.selectors.keys_of(org_id) if key.key_id == key_id), None)
    if key is None:
        raise Http404
    form = RevocationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            proposal = propose_revocation(
                org_id=org_id, key_id=key_id, proposer=None, actor=actor_of(request), clock=CLOCK, **form.cleaned_data
            )
        except FlxdrError as error:
            form.add_error(None, str(error))
        else:
            said = _("Proposal %(number)s is made. The other members decide.")
            messages.success(request, said % {"number": proposal.pk})
            return redirect("organizations:detail", org_id)
    context = {
        "organization": Organization.objects.filter(org_id=org_id).first(),
        "org_id": org_id,
        "key": key,
        "form": form,
        "members": len(ledger.selectors.members()),
    }
    return render(request, "dashboard/organizations/revoke.html", context)
