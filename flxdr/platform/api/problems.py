"""Every error of the API as RFC 9457 problem details."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

import psycopg.errors
import structlog
from django.core import exceptions as django
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions as drf

from flxdr.core.errors import (
    FlxdrError,
    Forbidden,
    Malformed,
    Missing,
    StorageFull,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from flxdr.platform.request_id import request_id

CONTENT_TYPE = "application/problem+json"
FULL_RETRY_SECONDS = 30
_log = structlog.get_logger("flxdr.api")


class MethodNotAllowed(FlxdrError):
    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"


class NotAcceptable(FlxdrError):
    code = "not_acceptable"
    status = 406
    title = "No such representation"


class InvalidFields(Malformed):
    """A body whose fields do not fit; `errors` lists each with a JSON pointer."""

    code = "invalid_fields"
    title = "Invalid fields"


def problem_handler(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """DRF's exception handler: known errors with what was wrong, unknown ones without what the inside looks like."""
    return problem_response(_known(error, context) or _unexpected(error))


def problem_response(error: FlxdrError) -> HttpResponse:
    """Render an error."""
    problem = error.as_problem()
    identifier = request_id()
    if identifier:
        problem["request_id"] = identifier
    response = JsonResponse(problem, status=error.status, content_type=CONTENT_TYPE)
    if error.status == 401:
        response["WWW-Authenticate"] = f'Bearer realm="flxdr", error="{error.code}"'
    if "retry_after" in error.fields:
        response["Retry-After"] = str(error.fields["retry_after"])
    if "allowed" in error.fields and isinstance(error, MethodNotAllowed):
        response["Allow"] = ", ".join(error.fields["allowed"])
    return response


def _unexpected(error: Exception) -> FlxdrError:
    _log.error("unexpected error", exc_info=error)
    return FlxdrError(
        "the server met an error of its own",
        action="Try again; if it stays, tell the operator the request_id.",
    )


def _known(error: Exception, context: dict[str, Any]) -> FlxdrError | None:
    if isinstance(error, FlxdrError):
        if error.status > 500:  # a part that is out of order: damaged files, a damaged chain
            _log.error("out of order", code=error.code, reason=error.detail)
        return None if error.status == 500 else error
    if isinstance(error, drf.APIException):
        return _from_drf(error, context)
    return _from_django(error)


_SAME = {
    drf.ParseError: Malformed,
    drf.AuthenticationFailed: Unauthenticated,
    drf.PermissionDenied: Forbidden,
    drf.NotFound: Missing,
    drf.NotAcceptable: NotAcceptable,
}


def _from_drf(error: drf.APIException, context: dict[str, Any]) -> FlxdrError | None:
    detail = str(error.detail)
    view = context.get("view")
    if isinstance(error, drf.ValidationError):
        errors = list(_field_errors(error.get_full_details(), ""))
        return InvalidFields("the request has fields that do not fit", errors=errors)
    if isinstance(error, drf.NotAuthenticated):
        return Unauthenticated(
            "this needs to know who you are",
            expected="Authorization: Bearer <token>",
            action="Sign a token with the organisation's key, or ask the operator for one.",
        )
    if isinstance(error, drf.MethodNotAllowed):
        allowed = list(view.allowed_methods) if view is not None else []
        return MethodNotAllowed(detail, expected=" or ".join(allowed) or None, allowed=allowed)
    if isinstance(error, drf.UnsupportedMediaType):
        readable = [parser.media_type for parser in view.parser_classes] if view is not None else []
        return UnsupportedMedia(detail, expected=" or ".join(readable) or None)
    if isinstance(error, drf.Throttled):
        return TooManyRequests(detail, retry_after=max(1, round(getattr(error, "wait", None) or 1)))
    return next((ours(detail) for theirs, ours in _SAME.items() if isinstance(error, theirs)), None)


def _field_errors(details: Any, pointer: str) -> Any:
    if isinstance(details, dict) and set(details) == {"message", "code"} and isinstance(details["code"], str):
        yield {"pointer": pointer or "/", "detail": str(details["message"]), "code": details["code"]}
    elif isinstance(details, dict):
        for name, inner in details.items():
            yield from _field_errors(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
    else:
        for position, inner in enumerate(details):
            is_leaf = isinstance(inner, dict) and set(inner) == {"message", "code"}
            yield from _field_errors(inner, pointer if is_leaf else f"{pointer}/{position}")


def _from_django(error: Exception) -> FlxdrError | None:
    found: FlxdrError | None = None
    if isinstance(error, Http404):
        found = Missing(str(error) or "there is nothing here")
    elif isinstance(error, django.PermissionDenied):
        found = Forbidden(str(error) or "this is not permitted")
    elif isinstance(error, django.RequestDataTooBig):
        found = TooLarge("the body is too large")
    elif isinstance(error, django.SuspiciousOperation | django.BadRequest):
        found = Malformed("the request cannot be accepted as it is")
    elif isinstance(error, UnreadablePostError):
        found = Malformed("the body ended before its declared length")
    elif _is_full(error):
        _log.error("storage full", exc_info=error)
        found = StorageFull(
            "the coordinator's storage is full, so nothing was stored",
            action="Send the same again later; the operator has to make room.",
            retry_after=FULL_RETRY_SECONDS,
        )
    elif isinstance(error, OperationalError | InterfaceError):  # the second: of a connection that is gone
        _log.error("database unavailable", exc_info=error)
        found = Unavailable("the database does not answer now", action="Try again shortly.", retry_after=1)
    return found


def _is_full(error: Exception) -> bool:
    """Whether the disk of the files or of the database took no more."""
    cause = error.__cause__ if isinstance(error, OperationalError) else error
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if isinstance(cause, OSError):
        return cause.errno in (errno.ENOSPC, errno.EDQUOT)
    return isinstance(cause, psycopg.errors.DiskFull)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`."""
    if _is_api(request):
        return problem_response(_from_django(exception) or Malformed("the request cannot be accepted as it is"))
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler403`."""
    if _is_api(request):
        return problem_response(Forbidden(str(exception) or "this is not permitted"))
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler404`."""
    if _is_api(request):
        return problem_response(
            Missing(f"there is no {request.path}", action="The operations are listed at /docs and /api/schema/.")
        )
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`."""
    if _is_api(request):
        return problem_response(FlxdrError("the server met an error of its own"))
    return defaults.server_error(request)
