"""Why rounds fail, in plain words, and what an operator can do about it."""

from __future__ import annotations

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

_ADVICE: dict[str, str] = {
    "too_few_submissions": _(
        "Fewer updates came than the round needs. Look why the organisations that are named were silent (a stopped "
        "agent, one that refuses the round, too short a deadline), then start another round."
    ),
    "failure_rate_exceeded": _(
        "More organisations were missing than FL_MAX_ORG_FAILURE_RATE allows. Ask those that are named, or suspend "
        "who has left, then start another round."
    ),
    "too_few_groups": _(
        "So many organisations stopped answering that the masks of too few groups can be taken off. Start another "
        "round; a longer FL_MASKING_STEP_TIMEOUT helps slow ones."
    ),
    "no_round_key": _("No organisation that makes the round's Paillier key shared one. Start another round."),
    "sum_not_opened": _(
        "None of the organisations that hold the round's key opened the encrypted sums in time. Ask them, then start "
        "another round."
    ),
    "sum_out_of_range": _(
        "The sum of the masked updates is out of range: an organisation sent values that no honest training gives. "
        "Who it was cannot be told from a sum; a round with protection plain shows every update's norm."
    ),
    "aborted": _("An operator stopped it, and a second one confirmed; the reason stands beside. Start another round."),
    "parent_withdrawn": _(
        "A block withdrew the release on which the round was built. The next round starts from the newest release "
        "that stands."
    ),
    "quorum_not_reached": _(
        "The organisations did not approve the model: read their reasons under the votes. The model is never released, "
        "and what its noise cost stays spent."
    ),
    "submission_damaged": _(
        "The stored file of an update is not what was received. Check the disk of the coordinator and restore it from "
        "a backup, then start another round."
    ),
    "blob_not_found": _("A stored file is gone. Restore the coordinator's data folder from a backup."),
    "blob_damaged": _("A stored file is damaged. Restore the coordinator's data folder from a backup."),
    "aggregation_failed": _("A defect stopped the aggregation; the coordinator's log has the trace. Report it."),
}


def advice_on(code: str) -> str:
    """What to do about a failure; for a code without advice of its own, where to look."""
    text = _ADVICE.get(code)
    return gettext(text) if text else gettext("The reason says what was wrong; the audit trail has every step.")
