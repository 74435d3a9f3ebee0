"""The one table of what each role may do; `granting` makes a group of every role after each migration."""

from __future__ import annotations

from collections.abc import Iterator

VIEWER = "viewer"
OPERATOR = "operator"
AUDITOR = "auditor"
ADMINISTRATOR = "administrator"

VIEWED_APPS = ("federation", "ledger", "privacy", "platform", "notifications")
"""Applications whose every model all roles may look at."""

OPERATED = frozenset(
    {
        "federation.add_campaign",
        "federation.add_enrolmenttoken",
        "federation.add_traininground",
        "federation.change_campaign",
        "federation.change_confirmationrequest",
        "federation.change_organization",
        "federation.change_shareddetection",  # say what became of it
        "federation.change_traininground",
        "ledger.change_block",  # propose the withdrawal of a release
        "ledger.change_signerkey",  # propose the revocation of a key
    }
)
AUDITED = frozenset({"platform.export_auditevent"})
MANAGED = {
    "auth.user": ("view", "add", "change", "delete"),
    "auth.group": ("view", "add", "change", "delete"),
    "operators.externalidentity": ("view",),
    "otp_totp.totpdevice": ("delete",),  # reset the second factor of somebody who lost it
}
"""Accounts and what belongs to them, by model, with the actions on them."""

DESCRIPTIONS = {
    VIEWER: "looks at everything",
    OPERATOR: "looks, and operates: organisations, enrolment tokens, rounds, campaigns, proposals, confirmations",
    AUDITOR: "looks, and exports the audit trail",
    ADMINISTRATOR: "does all of this, manages accounts and their roles, and resets lost second factors",
}


def managed_permissions() -> Iterator[str]:
    """What an administrator may do with accounts, as `app.codename`."""
    for label, actions in MANAGED.items():
        app, model = label.split(".")
        yield from (f"{app}.{action}_{model}" for action in actions)


EXTRA = {
    VIEWER: frozenset[str](),
    OPERATOR: OPERATED,
    AUDITOR: AUDITED,
    ADMINISTRATOR: OPERATED | AUDITED | frozenset(managed_permissions()),
}
"""What each role may do beyond looking, as `app.codename`."""

ROLES = tuple(EXTRA)
