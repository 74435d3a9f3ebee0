"""What can be wrong with privacy parameters, updates, secure aggregation and the budget."""

from __future__ import annotations

from flxdr.core.errors import Conflict, Invalid, Missing


class PrivacyParameterInvalid(Invalid):
    """A privacy parameter outside the range in which its formula holds."""

    code = "invalid_privacy_parameter"
    title = "Invalid privacy parameter"


class UpdateInvalid(Invalid):
    """An update that is malformed or beyond its bounds."""

    code = "invalid_update"
    title = "Invalid update"


class StatementInvalid(Invalid):
    """A statement about noise that is not the expected one, or whose signature does not verify."""

    code = "invalid_statement"
    title = "Invalid statement"


class GroupInvalid(Invalid):
    """Parties of a secure aggregation, or a set of them, that do not fit each other."""

    code = "invalid_masking_group"
    title = "Invalid masking group"


class ShareInvalid(Invalid):
    """A share of a party's secret that is malformed, does not open, or is of the wrong kind."""

    code = "invalid_share"
    title = "Invalid share"


class MaskedVectorInvalid(Invalid):
    """A masked vector of another type, length or range than the round's."""

    code = "invalid_masked_vector"
    title = "Invalid masked vector"


class UnmaskFailed(Conflict):
    """A party's secret cannot be recovered from the shares that were handed out; `owner` names the party."""

    code = "unmask_failed"
    title = "Masks cannot be removed"


class CategoryUnknown(Invalid):
    """A tactic or technique that the table does not hold."""

    code = "unknown_category"
    title = "Unknown category"


class BudgetExhausted(Conflict):
    """The next round would spend more than the total budget."""

    code = "budget_exhausted"
    title = "Privacy budget exhausted"


class ReservationExists(Conflict):
    """The organisation already reserved budget for this round."""

    code = "budget_already_reserved"
    title = "Budget already reserved"


class ReservationSpent(Conflict):
    """The round's noise was published; its budget cannot come back."""

    code = "budget_already_spent"
    title = "Budget already spent"


class ReservationMissing(Missing):
    """The organisation reserved nothing for this round."""

    code = "reservation_not_found"
    title = "No such reservation"


class MechanismUnavailable(Conflict):
    """The settings ask for noise that no agent could draw for the round's model."""

    code = "privacy_mechanism_unavailable"
    title = "Privacy mechanism not available"
