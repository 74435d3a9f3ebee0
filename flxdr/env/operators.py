"""Operators: the second factor, two persons, single sign-on."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.env.modes import DEVELOPMENT, PRODUCTION
from flxdr.operators.roles import ROLES
from flxdr.platform.configuration import address, boolean, choice, integer, matching, text, variable, words

GROUP = "Operators"


@dataclass(frozen=True)
class Operators:
    """The group *Operators*."""

    two_person: bool = variable(
        "FL_TWO_PERSON",
        boolean(),
        "true",
        "suspending and readmitting an organisation, and aborting a round or a campaign, take a second operator's "
        "confirmation (docs/operators.md)",
        group=GROUP,
    )
    operator_2fa: str = variable(
        "FL_OPERATOR_2FA",
        choice("off", "optional", "required"),
        {DEVELOPMENT: "optional", PRODUCTION: "required"},
        "second factor of operators who sign in: not asked for, asked of those who have set one up, or of everybody",
        group=GROUP,
    )
    oidc_issuer: str | None = variable(
        "FL_OIDC_ISSUER",
        address(
            r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/[!-~]*)?", "an https:// (or http://) address"
        ),
        "",
        "identity provider at which operators may sign in (OpenID Connect), as it names itself; unset: none. "
        "Production takes https alone",
        group=GROUP,
    )
    oidc_client_id: str | None = variable(
        "FL_OIDC_CLIENT_ID", text(), "", "name of this coordinator at the identity provider", group=GROUP
    )
    oidc_client_secret: str | None = variable(
        "FL_OIDC_CLIENT_SECRET", text(), "", "its secret there", group=GROUP, secret=True
    )
    oidc_scopes: str = variable(
        "FL_OIDC_SCOPES",
        matching(r"openid( [!-~]+)*", "`openid` and further scopes, separated by spaces"),
        "openid profile",
        "what it asks the identity provider for",
        group=GROUP,
    )
    oidc_role_claim: str = variable(
        "FL_OIDC_ROLE_CLAIM",
        text(),
        "groups",
        "claim that lists somebody's groups; `a.b` is also the member `b` of the claim `a`",
        group=GROUP,
    )
    oidc_roles: tuple[str, ...] | None = variable(
        "FL_OIDC_ROLES",
        words(rf".+:({'|'.join(ROLES)})", f"`group:role`, separated by commas; roles: {', '.join(ROLES)}"),
        "",
        "roles of the groups, such as `fl-admins:administrator,soc:operator`. Who is in none has no access",
        group=GROUP,
    )
    oidc_second_factor: str = variable(
        "FL_OIDC_SECOND_FACTOR",
        choice("ask", "amr", "trust"),
        "ask",
        "whether a sign-in at the identity provider is a second factor as well: no, the coordinator asks for one as "
        "`FL_OPERATOR_2FA` says; where the token's `amr` claim has `mfa`; or always",
        group=GROUP,
    )
    oidc_session_minutes: int = variable(
        "FL_OIDC_SESSION_MINUTES",
        integer(1, 1440),
        "60",
        "minutes until such a session ends and the identity provider is asked again",
        group=GROUP,
    )
