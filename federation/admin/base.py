"""What every admin of the federation does alike: rows are looked at, services act, no record is changed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError
from flxdr.platform.admin import ReadOnlyAdmin

if TYPE_CHECKING:  # generic in Django's stubs only
    ServiceForm = forms.ModelForm[Any]
else:
    ServiceForm = forms.ModelForm

CLOCK = SystemClock()


def actor_of(request: HttpRequest) -> str:
    """How the audit trail names the operator."""
    return f"operator:{request.user.get_username()}"


class OperatedAdmin(ReadOnlyAdmin):
    """Rows to look at. Actions ask for the permission `operate`: that of changing the model, unused otherwise."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"federation.change_{self.opts.model_name}")

    def operate(self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], object], done: str) -> None:
        """Run a service for every chosen row, and say of each what came of it."""
        for row in rows:
            try:
                act(row)
            except FlxdrError as error:
                self.message_user(request, f"{row}: {error}", messages.ERROR)
            else:
                self.message_user(request, f"{row}: {done}.", messages.SUCCESS)


class ServiceFormAdmin(OperatedAdmin):
    """Adding a row is a service call with a form of its own; what the service refuses is shown, and nothing is kept."""

    add_form: type[ServiceForm]

    def start(self, request: HttpRequest, values: dict[str, Any]) -> Any:
        """Call the service; returns the row that it made."""
        raise NotImplementedError

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"federation.add_{self.opts.model_name}")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return self.add_form if obj is None else super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": list(self.add_form.base_fields)})]
        return super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else super().get_readonly_fields(request, obj)

    def get_inline_instances(self, request: HttpRequest, obj: Any = None) -> Any:
        return [] if obj is None else super().get_inline_instances(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.pk = self.start(request, form.cleaned_data).pk
        obj.refresh_from_db()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except FlxdrError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
