"""What an operator fills in to give an enrolment token out."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from flxdr.dashboard.organizations.forms import PlainForm

LONGEST_DAYS = 90


class TokenForm(PlainForm):
    """For whom the token is, and how long it may be used."""

    org_id = forms.SlugField(
        label=_("Organisation's id"),
        max_length=64,
        help_text=_("The org_id that it will enrol as; the token is good for no other."),
    )
    days = forms.IntegerField(label=_("Days until it expires"), min_value=1, max_value=LONGEST_DAYS, initial=7)
