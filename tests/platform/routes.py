"""Routes on which the platform's frame is tested: one view per kind of permission and per kind of failure."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from typing import Any

import psycopg.errors
from django.core import exceptions as django
from django.db import InterfaceError, OperationalError
from django.http import Http404
from django.urls import include, path
from rest_framework import exceptions as drf
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from flxdr.core.errors import Conflict, Misconfigured, Unavailable
from flxdr.platform.api.parameters import LimitOffset
from flxdr.platform.auth.permissions import (
    IsOperator,
    IsOperatorOrOrganization,
    IsOrganization,
    ReadOnlyOrOperator,
)
from flxdr.platform.auth.principal import caller


def _caused(cause: Exception) -> OperationalError:
    """A database's error as Django passes it on."""
    error = OperationalError("inside")
    error.__cause__ = cause
    return error


def _sqlite_full() -> sqlite3.OperationalError:
    """What SQLite itself raises when it may not grow."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 2")
        try:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        except sqlite3.OperationalError as error:
            return error
    raise AssertionError("it grew")


ERRORS: dict[str, Exception] = {
    "conflict": Conflict("the round is closed", expected="an open round", action="Wait.", round_id="r-1"),
    "unavailable": Unavailable("busy", retry_after=7),
    "misconfigured": Misconfigured("the secret path /srv/secret"),
    "http404": Http404(),
    "django-permission": django.PermissionDenied(),
    "suspicious": django.SuspiciousOperation("inside"),
    "too-big": django.RequestDataTooBig(),
    "database": OperationalError("database is locked at /srv/inside"),
    "connection-gone": InterfaceError("the connection is closed at /srv/inside"),
    "database-full": _caused(_sqlite_full()),
    "database-server-full": _caused(psycopg.errors.DiskFull()),
    "disk-full": OSError(errno.ENOSPC, "No space left on /srv/inside"),
    "quota": OSError(errno.EDQUOT, "Quota exceeded on /srv/inside"),
    "disk-broken": OSError(errno.EIO, "inside"),
    "throttled": drf.Throttled(wait=3),
    "parse": drf.ParseError("JSON parse error"),
    "unexpected": ZeroDivisionError("inside"),
}


class BodySerializer(serializers.Serializer[dict[str, Any]]):
    name = serializers.CharField(max_length=3)
    numbers = serializers.ListField(child=serializers.IntegerField())


class WhoViewSet(ViewSet):
    def who(self, request: Request) -> Response:
        principal = caller(request)
        return Response({"kind": principal.kind, "name": principal.name, "org_id": principal.org_id})

    def write(self, request: Request) -> Response:
        return self.who(request)


class OperatorViewSet(WhoViewSet):
    permission_classes = [IsOperator]


class OrganizationViewSet(WhoViewSet):
    permission_classes = [IsOrganization]


class EitherViewSet(WhoViewSet):
    permission_classes = [IsOperatorOrOrganization]


class ReadOnlyViewSet(WhoViewSet):
    permission_classes = [ReadOnlyOrOperator]


class OpenViewSet(ViewSet):
    permission_classes = [AllowAny]

    def fail(self, request: Request, name: str) -> Response:
        raise ERRORS[name]

    def body(self, request: Request) -> Response:
        serializer = BodySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.data)

    def page(self, request: Request) -> Response:
        page = LimitOffset.from_request(request, allowed=("model",), default=10, largest=20)
        return Response(page.envelope("numbers", page.slice(range(100)), 100))


BOTH: Any = {"get": "who", "post": "write"}
urlpatterns = [
    path("api/who/operator", OperatorViewSet.as_view(BOTH)),
    path("api/who/organization", OrganizationViewSet.as_view(BOTH)),
    path("api/who/either", EitherViewSet.as_view(BOTH)),
    path("api/who/read-only", ReadOnlyViewSet.as_view(BOTH)),
    path("api/fail/<str:name>", OpenViewSet.as_view({"get": "fail"})),
    path("api/body", OpenViewSet.as_view({"post": "body"})),
    path("api/page", OpenViewSet.as_view({"get": "page"})),
    path("", include("flxdr.urls")),
]
handler400 = "flxdr.platform.api.problems.bad_request"
handler403 = "flxdr.platform.api.problems.permission_denied"
handler404 = "flxdr.platform.api.problems.page_not_found"
handler500 = "flxdr.platform.api.problems.server_error"
