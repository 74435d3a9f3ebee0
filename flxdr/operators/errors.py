"""What the operators' accounts refuse."""

from __future__ import annotations

from flxdr.core.errors import Conflict, Invalid


class AccountInvalid(Invalid):
    code = "invalid_account"
    title = "Invalid account"


class AccountExists(Conflict):
    code = "account_exists"
    title = "The account exists"
