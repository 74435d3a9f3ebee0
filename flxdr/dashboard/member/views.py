"""An organisation's own page: signing in by a link from its agent, looking, signing out."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from federation.errors import SignInRefused
from federation.models import Organization
from federation.selectors.parts_of_organization import parts_of_organization
from federation.services import sign_in as links
from flxdr.core.errors import Missing
from flxdr.dashboard.member.reading import proof_of, read_member
from flxdr.dashboard.member.session import CLOCK, close_session, member_page, open_session
from flxdr.dashboard.paging import Pages, Window
from privacy.selectors import budget as budget_of
from privacy.selectors.spending import entries_page


@require_http_methods(["GET", "POST"])
@never_cache
def sign_in(request: HttpRequest, secret: str) -> HttpResponse:
    """Say who would be signed in; the button does it, and uses the link up."""
    try:
        if request.method == "POST":
            open_session(request, links.sign_in(secret=secret, clock=CLOCK))
            return redirect("member:index")
        organization = links.whose_link(secret=secret, clock=CLOCK)
    except SignInRefused as error:
        return render(request, "dashboard/member/closed.html", {"refused": error}, status=403)
    return render(request, "dashboard/member/sign_in.html", {"organization": organization})


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    close_session(request)
    return redirect("member:index")


@member_page
@require_GET
def index(request: HttpRequest, organization: Organization) -> HttpResponse:
    """How the organisation's updates went, what its records were charged, how it voted, and what to check."""
    shown = read_member(organization, CLOCK.now())
    context = {"organization": organization, "page": shown, "standing": shown.standing}
    return render(request, "dashboard/member/index.html", context)


@member_page
@require_GET
def rounds(request: HttpRequest, organization: Organization) -> HttpResponse:
    """All rounds in which the organisation was asked, newest first."""
    window = Window.of(request)
    parts, total = parts_of_organization(organization.org_id, limit=window.limit, offset=window.offset)
    context = {"organization": organization, "pages": Pages(parts, total, window)}
    return render(request, "dashboard/member/rounds.html", context)


@member_page
@require_GET
def budget(request: HttpRequest, organization: Organization) -> HttpResponse:
    """What the organisation's records were charged, entry by entry, newest first."""
    window = Window.of(request)
    entries, total = entries_page(organization.org_id, limit=window.limit, offset=window.offset)
    context = {
        "organization": organization,
        "pages": Pages(entries, total, window),
        "budget": budget_of(organization.org_id),
    }
    return render(request, "dashboard/member/budget.html", context)


@member_page
@require_GET
def proof(request: HttpRequest, organization: Organization, round_id: str) -> HttpResponse:
    """The proof that the organisation's submission is in the block, to download."""
    try:
        document = proof_of(organization, round_id)
    except Missing as error:
        raise Http404(str(error)) from error
    answer = JsonResponse(document, json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="{organization.org_id}-{round_id}-proof.json"'
    return answer
