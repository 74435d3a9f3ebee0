"""Who may call a view. Ownership of single objects is the views' and services' matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rest_framework.permissions import SAFE_METHODS, BasePermission

from flxdr.platform.auth.principal import caller

if TYPE_CHECKING:  # DRF's views read the settings that name this module
    from rest_framework.request import Request
    from rest_framework.views import APIView


class IsOperator(BasePermission):
    """Operators of the consortium."""

    message: ClassVar[str] = "only an operator may do this"

    def has_permission(self, request: Request, view: APIView) -> bool:
        return caller(request).is_operator


class IsOrganization(BasePermission):
    """Organisations, each for itself."""

    message: ClassVar[str] = "only an organisation may do this"

    def has_permission(self, request: Request, view: APIView) -> bool:
        return caller(request).org_id is not None


class IsOperatorOrOrganization(BasePermission):
    """Everyone who proved who they are."""

    message: ClassVar[str] = "a token of an operator or an organisation is needed"

    def has_permission(self, request: Request, view: APIView) -> bool:
        return caller(request).is_authenticated


class ReadOnlyOrOperator(BasePermission):
    """Operators and organisations read; operators write."""

    message: ClassVar[str] = "organisations may read this, only an operator may change it"

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.method in SAFE_METHODS:
            return caller(request).is_authenticated
        return caller(request).is_operator
