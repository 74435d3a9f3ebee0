"""Headers that tell browsers what they may do with an answer: on every answer, refusals of the frame included."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.middleware.security import SecurityMiddleware

FIXED = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()"
    ),
}


class SecurityHeadersMiddleware(SecurityMiddleware):
    """What Django's own middleware adds, on what that one itself refuses too (a wrong host), and what Django has no
    setting for. Redirects to TLS stay with Django's."""

    def process_request(self, request: HttpRequest) -> None:
        return None

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        for name, value in FIXED.items():
            response.headers.setdefault(name, value)
        # Static files name their own time; all else is somebody's, or of this moment.
        response.headers.setdefault("Cache-Control", "no-store")
        return super().process_response(request, response)
