"""What the operators' accounts refuse."""

from __future__ import annotations

from flxdr.core.errors import Conflict, Forbidden, Invalid


class AccountInvalid(Invalid):
    code = "invalid_account"
    title = "Invalid account"


class AccountExists(Conflict):
    code = "account_exists"
    title = "The account exists"


class CodeRefused(Forbidden):
    """A code of the second factor that does not hold."""

    code = "code_refused"
    title = "Code refused"


class SecondFactorPresent(Conflict):
    code = "second_factor_present"
    title = "The account has a second factor"


class SecondFactorMissing(Conflict):
    code = "second_factor_missing"
    title = "The account has no second factor"
