"""OpenAPI: every operation documents the problems that it may answer with."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS, AllowAny

from flxdr.platform.api.problems import CONTENT_TYPE

Direction = Literal["request", "response"]
JSON = "application/json"
LIMIT_OFFSET = (
    OpenApiParameter("limit", int, description="entries of the page; capped"),
    OpenApiParameter("offset", int, description="entries before the page"),
)


class ProblemSerializer(serializers.Serializer[dict[str, Any]]):
    """RFC 9457 problem details; further members depend on `code`."""

    type = serializers.CharField(help_text="`urn:flxdr:error:` and the code")
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="what a program decides by")
    detail = serializers.CharField(help_text="what was wrong")
    expected = serializers.CharField(required=False, help_text="what would have been right")
    action = serializers.CharField(required=False, help_text="what to do now")
    request_id = serializers.CharField(required=False, help_text="names the request in the server's log")


class ProblemSchema(AutoSchema):
    """Adds the problems of the frame (authentication, parsing, state) to what a view documents itself."""

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self._get_response_for_code(  # type: ignore[no-untyped-call]
            ProblemSerializer, "400", [CONTENT_TYPE], direction
        )
        for code in self._problem_codes():
            bodies.setdefault(code, problem)
        for code, body in bodies.items():
            if int(code) >= 400:
                stated = body.get("content", {})
                body["content"] = {CONTENT_TYPE: stated[JSON]} if JSON in stated else stated or problem["content"]
        return dict(sorted(bodies.items()))

    def _problem_codes(self) -> list[str]:
        codes = {"400", "405", "406", "429", "503", "507"}
        permissions = self.view.get_permissions()
        if any(not isinstance(permission, AllowAny) for permission in permissions):
            codes |= {"401", "403"}
        elif self.view.get_authenticators():
            codes |= {"401", "403"}  # a bad token is refused even where none is needed
        if "{" in self.path:
            codes.add("404")
        if self.method not in SAFE_METHODS:
            codes |= {"404", "409", "411", "413", "415", "422"}
        return sorted(codes)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "flxdr.platform.auth.authentication.BearerAuthentication"
    name = "bearerToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT (ML-DSA-65, EdDSA or HS256)",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "flxdr.platform.auth.authentication.OperatorSessionAuthentication"
    name = "operatorSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
