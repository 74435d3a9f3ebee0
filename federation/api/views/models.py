"""Models by hash, and the list of their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.response import Response

from federation import selectors
from federation.api.model_file import MODEL_MEDIA_TYPE, model_file
from federation.api.responses import ModelsAnswer, RegistryAnswer
from federation.api.views.base import MODEL, FederationViewSet, principal_of
from flxdr.platform.api.parameters import LimitOffset
from flxdr.platform.api.schema import LIMIT_OFFSET
from flxdr.platform.auth.permissions import IsOperatorOrOrganization

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpResponseBase
    from rest_framework.parsers import BaseParser
    from rest_framework.renderers import BaseRenderer
    from rest_framework.request import Request


class OneRepresentation(BaseContentNegotiation):
    """A model has one form, whatever `Accept` says; errors are JSON."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


def _header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description)


class ModelFileViewSet(FederationViewSet):
    """A model's canonical file."""

    permission_classes = (IsOperatorOrOrganization,)
    content_negotiation_class = OneRepresentation

    @extend_schema(
        operation_id="model_file",
        summary="A model by its hash",
        description="Canonical safetensors with int32 tensors in units of 2^-24. A candidate that waits for approvals "
        "is served to the participants of its round and to operators only. The answer's header `Model-Standing` says "
        "what became of the model: initial, candidate, released, refused, or withdrawn, which is to be used no more.",
        tags=["participation"],
        parameters=[
            _header("If-None-Match", "the model hash in quotes: 304 when the caller has it already"),
            _header("Range", "one range, e.g. `bytes=1048576-`, to continue a download"),
        ],
        responses={
            (200, MODEL_MEDIA_TYPE): OpenApiTypes.BINARY,
            (206, MODEL_MEDIA_TYPE): OpenApiTypes.BINARY,
            304: OpenApiResponse(description="the caller has this model"),
            416: OpenApiResponse(description="the range lies outside the file"),
        },
    )
    def retrieve(self, request: Request, model_hash: str) -> HttpResponseBase:
        principal = principal_of(request)
        version = selectors.model_by_hash(model_hash, viewer=principal.org_id)
        return model_file(version, meta=request.META)


class ModelViewSet(FederationViewSet):
    """The versions of the models."""

    permission_classes = (IsOperatorOrOrganization,)
    parameters = {"page": ("limit", "offset", "model")}

    @extend_schema(
        operation_id="list_models",
        summary="Model versions, newest first",
        tags=["federation"],
        parameters=[*LIMIT_OFFSET, MODEL],
        responses={200: ModelsAnswer},
    )
    def page(self, request: Request) -> Response:
        bounds = LimitOffset.from_request(request, allowed=("model",))
        return Response(selectors.models_page(model=self.model, limit=bounds.limit, offset=bounds.offset))

    @extend_schema(
        operation_id="model_registry",
        summary="Models that can be trained by name",
        description="Their schemas, starting points and newest versions, and what each builds on. Any other name "
        "can be trained as well: its first submission fixes its schema.",
        tags=["federation"],
        responses={200: RegistryAnswer},
    )
    def registry(self, request: Request) -> Response:
        return Response(selectors.registry_document())
