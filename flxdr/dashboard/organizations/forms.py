"""What an operator fills in about an organisation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.services.reasons import LONGEST_REASON

LONGEST_ENTRY_REASON = 300
"""Of a governance entry (`ledger.chain.fields.Reason`)."""


class PlainForm(forms.Form):
    """A form without the colons that Django puts after labels."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})


class ReasonForm(PlainForm):
    """Why an operator decides as they do."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_REASON,
        help_text=_("One line, for the other operators and the audit trail. The organisation does not see it."),
    )


class RevocationForm(PlainForm):
    """Why a key is to be taken from its organisation, and since when its signatures are in doubt."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=LONGEST_ENTRY_REASON,
        help_text=_("One line, on the chain for every member to read, for ever."),
    )
    compromised_since = forms.IntegerField(
        label=_("In doubt from block"),
        min_value=0,
        max_value=2**53 - 1,
        required=False,
        help_text=_(
            "The height from which on the key's signatures are in doubt; empty if none are. They stay valid, and every "
            "verification warns of them."
        ),
    )
