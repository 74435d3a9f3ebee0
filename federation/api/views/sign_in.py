"""An organisation's way to its own page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from federation.api import examples
from federation.api.requests import EmptyRequest
from federation.api.responses import SignInAnswer
from federation.api.views.base import FederationViewSet, organization_of, valid
from federation.services.sign_in import LIFETIME, make_sign_in_secret
from flxdr.core.clock import SystemClock
from flxdr.platform.auth.permissions import IsOrganization

if TYPE_CHECKING:
    from rest_framework.request import Request


class SignInViewSet(FederationViewSet):
    """Links to organisations' own pages."""

    permission_classes = (IsOrganization,)

    @extend_schema(
        operation_id="organization_sign_in",
        summary="A link to the calling organization's own page, for one sign-in",
        description="The link is good for two minutes and for one use, and opens a session of an hour at most. It "
        "shows who would be signed in; a button there does it, so that no preview of the link uses it up.",
        tags=["participation"],
        request=EmptyRequest,
        responses={200: SignInAnswer},
        examples=examples.SIGN_IN,
    )
    def link(self, request: Request) -> Response:
        valid(EmptyRequest(data=request.data))
        secret = make_sign_in_secret(org_id=organization_of(request), clock=SystemClock())
        url = request.build_absolute_uri(reverse("member:sign-in", args=[secret]))
        return Response({"url": url, "expires_in": int(LIFETIME.total_seconds())})
