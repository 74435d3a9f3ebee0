"""What an operator fills in on the ledger's pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class WithdrawalForm(forms.Form):
    """Why a release is to be withdrawn."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("It goes on the chain, for everybody to read and for good."),
    )
