"""Rounds: start, status, the list, and the long poll by which an organisation learns what waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.response import Response

from federation import selectors
from federation.api import examples
from federation.api.aggregation_methods import method_table
from federation.api.long_poll import NoPlaceLeft, place_to_wait, poll
from federation.api.parsers import received_document
from federation.api.requests import RoundStartRequest
from federation.api.responses import (
    CurrentRoundAnswer,
    FederationStatusAnswer,
    ParticipantsAnswer,
    RoundsAnswer,
    RoundStartedAnswer,
    RoundStatusAnswer,
)
from federation.api.views.base import MODEL, FederationViewSet, organization_of, principal_of, valid
from federation.services import model_versions, rounds
from flxdr.core.clock import SystemClock
from flxdr.platform.api.parameters import LimitOffset, whole_number
from flxdr.platform.api.schema import LIMIT_OFFSET, ProblemSerializer
from flxdr.platform.auth.permissions import IsOperator, IsOperatorOrOrganization

if TYPE_CHECKING:
    from rest_framework.request import Request

MAX_WAIT_SECONDS = 25
_WAIT = OpenApiParameter("wait", int, description=f"seconds to wait at most, up to {MAX_WAIT_SECONDS}; default 0")
_NO_PLACE = OpenApiResponse(description="as many wait as may: come back after `Retry-After` seconds")
# The guide's names where the services speak of the same thing otherwise.
_SERVICE_NAMES = {"model": "model_name", "min_orgs_required": "min_orgs"}


class RoundStartViewSet(FederationViewSet):
    """Starting a round."""

    permission_classes = (IsOperator,)

    @extend_schema(
        operation_id="start_round",
        summary="Start a training round",
        description="Fixes everything about the round in one canonical document, `config`; its hash is what every "
        "message of the round is bound to. Parameters that are left out come from the settings.\n\n"
        "The method has to stand the number of organizations that would take part, else the round is refused with "
        f"what to choose instead:\n\n{method_table()}",
        tags=["federation"],
        request=RoundStartRequest,
        responses={200: RoundStartedAnswer, 409: ProblemSerializer, 422: ProblemSerializer},
        examples=examples.ROUND_START,
    )
    def start(self, request: Request) -> Response:
        body = valid(RoundStartRequest(data=received_document(request)))
        started = rounds.start_round(actor=str(principal_of(request)), clock=SystemClock(), **service_parameters(body))
        return Response(selectors.round_started(started))


class RoundViewSet(FederationViewSet):
    """Reading about rounds."""

    permission_classes = (IsOperatorOrOrganization,)
    parameters = {"page": ("limit", "offset", "model"), "federation_status": ("model",)}

    @extend_schema(
        operation_id="round_status",
        summary="Status of a round",
        tags=["federation"],
        responses={200: RoundStatusAnswer},
        examples=examples.ROUND_STATUS,
    )
    def status(self, request: Request, round_id: str) -> Response:
        return Response(selectors.round_status(selectors.round_by_id(round_id)))

    @extend_schema(
        operation_id="federation_status",
        summary="Status of the federation, for one model",
        tags=["federation"],
        parameters=[MODEL],
        responses={200: FederationStatusAnswer},
        examples=examples.FEDERATION_STATUS,
    )
    def federation_status(self, request: Request) -> Response:
        model = self.model
        if model is not None:
            model_versions.require_known(model)
        return Response(selectors.federation_status(model))

    @extend_schema(
        operation_id="list_rounds",
        summary="Rounds, newest first",
        tags=["federation"],
        parameters=[*LIMIT_OFFSET, MODEL],
        responses={200: RoundsAnswer},
    )
    def page(self, request: Request) -> Response:
        bounds = LimitOffset.from_request(request, allowed=("model",))
        return Response(selectors.rounds_page(model=self.model, limit=bounds.limit, offset=bounds.offset))


class ParticipantsViewSet(FederationViewSet):
    """How the participants' updates looked beside each other."""

    permission_classes = (IsOperatorOrOrganization,)
    parameters = {"page": ("limit", "offset")}

    @extend_schema(
        operation_id="round_participants",
        summary="Participants of a round: anomaly scores, who was left out and why, reputation",
        description="Operators see every participant, an organization its own row. The score informs people; which "
        "updates an aggregate leaves out is the aggregation method's own decision.",
        tags=["participation"],
        parameters=[*LIMIT_OFFSET],
        responses={200: ParticipantsAnswer},
        examples=examples.PARTICIPANTS,
    )
    def page(self, request: Request, round_id: str) -> Response:
        bounds = LimitOffset.from_request(request)
        org_id = principal_of(request).org_id
        return Response(selectors.participants_page(round_id, org_id=org_id, limit=bounds.limit, offset=bounds.offset))


class CurrentRoundViewSet(FederationViewSet):
    """What waits for the calling organisation."""

    permission_classes = (IsOperatorOrOrganization,)
    parameters = {"current": ("model", "wait")}

    @extend_schema(
        operation_id="current_round",
        summary="What waits for the calling organization (long poll)",
        description="Answers at once when an update or a vote of the organization is due, else after `wait` seconds. "
        "Where as many wait as may, what is due is still answered, and else `204` at once: `Retry-After` says when to "
        "come back. With `wait=0` the answer is never `204`.",
        tags=["participation"],
        parameters=[
            MODEL,
            _WAIT,
            OpenApiParameter("Retry-After", int, "header", response=["204"], description="seconds until the next poll"),
        ],
        responses={
            200: CurrentRoundAnswer,
            204: OpenApiResponse(description="no place to wait"),
            429: ProblemSerializer,
        },
    )
    def current(self, request: Request) -> Response:
        org_id, model = organization_of(request), self.model
        wait = whole_number(dict(self.query), "wait", default=0, at_least=0, at_most=MAX_WAIT_SECONDS)

        def read() -> dict[str, Any]:
            return selectors.current_round_for(org_id, model)

        if wait == 0:
            return Response(read())
        try:
            with place_to_wait(org_id):
                return Response(poll(read, due=_is_due, wait=wait))
        except NoPlaceLeft as full:
            answer = read()
            if _is_due(answer):
                return Response(answer)
            return Response(status=204, headers={"Retry-After": str(full.seconds)})


def service_parameters(body: dict[str, Any]) -> dict[str, Any]:
    """A validated request body under the services' names."""
    return {_SERVICE_NAMES.get(name, name): value for name, value in body.items()}


def _is_due(answer: dict[str, Any]) -> bool:
    current = answer["round"]
    return (current is not None and current["awaited"]) or bool(answer["proposals"])
