"""What every admin of the federation does alike: rows are looked at, services act, no record is changed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from federation.models import ConfirmationRequest
from federation.services import confirmations
from federation.services.reasons import LONGEST_REASON
from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError
from flxdr.platform.admin import ReadOnlyAdmin
from flxdr.platform.auth.principal import actor_of

if TYPE_CHECKING:  # generic in Django's stubs only
    ServiceForm = forms.ModelForm[Any]
else:
    ServiceForm = forms.ModelForm

CLOCK = SystemClock()


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


class ReasonForm(forms.Form):
    """Why an operator wants what another one has to confirm."""

    reason = forms.CharField(
        max_length=LONGEST_REASON, help_text="for the operator who confirms it, and for the audit trail"
    )


class GuardedAdmin(OperatedAdmin):
    """Rows with actions that one operator asks for and another one confirms."""

    def subject_of(self, row: Any) -> str:
        """How a request names the row."""
        raise NotImplementedError

    def ask(self, request: HttpRequest, rows: QuerySet[Any], action: ConfirmationRequest.Action) -> HttpResponse | None:
        """Show the form for the reason; once it is filled in, ask for the action on every chosen row."""
        form = ReasonForm(request.POST if "asked" in request.POST else None)
        if not form.is_valid():
            context = {
                **self.admin_site.each_context(request),
                "title": f"{action.label[0].upper()}{action.label[1:]}",
                "opts": self.opts,
                "rows": rows,
                "form": form,
                "action": request.POST["action"],
                "two_person": settings.FLXDR.two_person,
            }
            return TemplateResponse(request, "admin/ask.html", context)

        def act(row: Any) -> ConfirmationRequest | None:
            return confirmations.request_action(
                action=action,
                subject=self.subject_of(row),
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
                clock=CLOCK,
            )

        done = "asked for; a second operator confirms it" if settings.FLXDR.two_person else "done"
        self.operate(request, rows, act, done)
        return None


class ServiceFormAdmin(GuardedAdmin):
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
