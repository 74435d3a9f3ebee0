"""The forms with which operators sign in and show their codes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from flxdr.operators.errors import CodeRefused
from flxdr.operators.second_factor import check_code
from flxdr.operators.sso import provider
from flxdr.platform.auth import second_factor


def _code_field(**options: Any) -> forms.CharField:
    return forms.CharField(
        max_length=24,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        ),
        **options,
    )


class CodeForm(forms.Form):
    """A code of the device, or a recovery code."""

    code = _code_field(label=_("Code"))


class SignInForm(AdminAuthenticationForm):
    """Name and password, and a code where the account has a second factor."""

    code = _code_field(
        label=_("Code"),
        required=False,
        help_text=_("of your authenticator, or a recovery code, if you have set one up"),
    )

    @property
    def has_single_sign_on(self) -> bool:
        """Whether the page offers the identity provider beside the form."""
        return provider.is_on()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        user = self.get_user()
        if user is not None and second_factor.is_asked_of(user):
            self._check_code(user, cleaned.get("code") or "")
        return cleaned

    def _check_code(self, user: Any, code: str) -> None:
        """Refuse the sign-in without a code that holds; a wrong one counts as a wrong password does."""
        if not code:
            raise ValidationError(_("This account asks for a code as well."), code="code_missing")
        try:
            user.otp_device = check_code(user=user, code=code)
        except CodeRefused as error:
            user_login_failed.send(sender=__name__, credentials={"username": user.get_username()}, request=self.request)
            raise ValidationError(
                _("The code is wrong, was used before, or came too soon after wrong ones. Wait for the next one."),
                code="code_refused",
            ) from error
