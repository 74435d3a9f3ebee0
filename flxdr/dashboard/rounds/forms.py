"""What an operator fills in about a round."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.services.reasons import LONGEST_REASON


class AbortForm(forms.Form):
    """Why a round or a campaign is to stop: for the second operator to judge, and for the audit trail."""

    reason = forms.CharField(label=_("Reason"), max_length=LONGEST_REASON)
