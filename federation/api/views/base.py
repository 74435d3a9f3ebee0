"""What all views of the federation share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.viewsets import ViewSet

from federation.api import large_bodies
from federation.api.identifiers import identifier_or_none
from federation.api.parsers import DocumentParser
from flxdr.core.errors import Forbidden
from flxdr.platform.api.parameters import strict_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from rest_framework.parsers import BaseParser
    from rest_framework.request import Request
    from rest_framework.serializers import Serializer

    from flxdr.platform.auth.principal import Principal


MODEL = OpenApiParameter("model", str, description="a model by name")


class FederationViewSet(ViewSet):
    """Reads small JSON documents, refuses unknown query parameters.

    `parameters` names those of each action; an action that it does not name takes none.
    """

    parser_classes: Sequence[type[BaseParser]] = (DocumentParser,)
    parameters: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    query: Mapping[str, str]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with large_bodies.room.request():
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.query = strict_query(request, self.parameters.get(self.action or "", ()))

    @property
    def model(self) -> str | None:
        """The model that the query names.

        Raises:
            InvalidParameter: what it names can be none.
        """
        return identifier_or_none(self.query.get("model"), parameter="model")


def valid(serializer: Serializer[Any]) -> dict[str, Any]:
    """The validated values of a request's serializer.

    Raises:
        ValidationError: naming every field that is wrong.
    """
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def principal_of(request: Request) -> Principal:
    """Who calls (the permission classes let only principals through)."""
    principal: Principal = request.user  # type: ignore[assignment]  # what our authentication classes return
    return principal


def organization_of(request: Request) -> str:
    """The calling organisation's `org_id`.

    Raises:
        Forbidden: an operator calls what only an organisation can do.
    """
    org_id = principal_of(request).org_id
    if org_id is None:
        raise Forbidden(
            "an operator cannot act for an organization",
            expected="a token of the organization itself",
            action="Get one with `manage.py issue_token ORG` and send it as `Authorization: Bearer <token>`.",
        )
    return org_id
