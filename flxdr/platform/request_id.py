"""An identifier for every request, in its log lines and in its answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-Id"


def request_id() -> str:
    """The identifier of the request that this thread serves; empty outside of one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


class RequestIdMiddleware:
    """Makes the identifier here: one that a client sends could forge another request's trace."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=secrets.token_hex(8))
        response = self.get_response(request)
        response[HEADER] = request_id()
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> None:
        """Lines of a request about one round name it."""
        if "round_id" in kwargs:
            structlog.contextvars.bind_contextvars(round_id=str(kwargs["round_id"]))
