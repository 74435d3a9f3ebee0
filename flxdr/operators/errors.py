"""What the operators' accounts refuse."""

from __future__ import annotations

from flxdr.core.errors import Conflict, Forbidden, Invalid, Unavailable


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


class ProviderUnavailable(Unavailable):
    """The identity provider does not answer, or not as one."""

    code = "identity_provider_unavailable"
    title = "The identity provider does not answer"


class IdentityRefused(Forbidden):
    """What the identity provider said of somebody does not hold."""

    code = "identity_refused"
    title = "The sign-in was not accepted"


class AccessRefused(Forbidden):
    """Somebody whom the identity provider knows, and who may not operate."""

    code = "access_refused"
    title = "No access"
