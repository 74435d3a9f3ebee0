"""Detections that organisations share with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from federation import selectors
from federation.api import examples
from federation.api.masking_serializers import SignedStatementRequest
from federation.api.parsers import received_document
from federation.api.responses import DetectionEntry, DetectionsAnswer
from federation.api.views.base import FederationViewSet, organization_of, valid
from federation.api.views.models import OneRepresentation
from federation.detections.reports import MEDIA_TYPE
from federation.services.detections import share_detection
from federation.services.masking.messages import SignedDocument
from flxdr.core.clock import SystemClock
from flxdr.platform.api.parameters import LimitOffset
from flxdr.platform.api.schema import LIMIT_OFFSET, ProblemSerializer
from flxdr.platform.auth.permissions import IsOperatorOrOrganization

if TYPE_CHECKING:
    from rest_framework.request import Request

LARGEST_BUNDLE = 200
"""Detections in one bundle: each is a number of objects, made one by one."""


class DetectionViewSet(FederationViewSet):
    """Sharing a detection, and reading what was shared."""

    permission_classes = (IsOperatorOrOrganization,)
    parameters = {"page": ("limit", "offset")}

    @extend_schema(
        operation_id="list_detections",
        summary="Detections that organizations shared, newest first",
        description="Each with the statement and signature of the organization, so that a reader can check it against "
        "the keys on the chain.",
        tags=["detections"],
        parameters=[*LIMIT_OFFSET],
        responses={200: DetectionsAnswer},
        examples=examples.DETECTIONS,
    )
    def page(self, request: Request) -> Response:
        bounds = LimitOffset.from_request(request)
        return Response(selectors.detections_page(limit=bounds.limit, offset=bounds.offset))

    @extend_schema(
        operation_id="share_detection",
        summary="Share a detection",
        description="Takes a canonical statement (`flxdr-agent share` makes it) signed with a key of the organization "
        "that is in force on the chain. It holds no addresses, hosts or accounts; one that does is refused. At most "
        "`FL_DETECTIONS_PER_HOUR` an hour. The same statement again changes nothing.",
        tags=["detections"],
        request=SignedStatementRequest,
        responses={201: DetectionEntry, 200: DetectionEntry, 409: ProblemSerializer, 422: ProblemSerializer},
        examples=examples.SHARE_DETECTION,
    )
    def share(self, request: Request) -> Response:
        signed = SignedDocument(**valid(SignedStatementRequest(data=received_document(request))))
        detection, is_new = share_detection(org_id=organization_of(request), signed=signed, clock=SystemClock())
        return Response(selectors.detection_entry(detection), status=201 if is_new else 200)


class DetectionBundleViewSet(FederationViewSet):
    """Shared detections for other tools."""

    permission_classes = (IsOperatorOrOrganization,)
    parameters = {"retrieve": ("limit", "offset")}
    content_negotiation_class = OneRepresentation

    @extend_schema(
        operation_id="detections_stix",
        summary="Shared detections as a STIX 2.1 bundle",
        description="Sightings of ATT&CK techniques by organizations, newest first, marked TLP:AMBER.",
        tags=["detections"],
        parameters=[*LIMIT_OFFSET],
        responses={(200, MEDIA_TYPE): OpenApiTypes.OBJECT},
    )
    def retrieve(self, request: Request) -> HttpResponse:
        bounds = LimitOffset.from_request(request, default=50, largest=LARGEST_BUNDLE)
        body = selectors.detections_bundle(limit=bounds.limit, offset=bounds.offset)
        return HttpResponse(body, content_type=MEDIA_TYPE)
