"""Who may connect, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.env.modes import DEVELOPMENT, PRODUCTION
from flxdr.platform.configuration import boolean, choice, integer, variable, words

GROUP = "Network"


@dataclass(frozen=True)
class Network:
    """The group *Network*."""

    dev_allowed_origins: tuple[str, ...] | None = variable(
        "DEV_ALLOWED_ORIGINS",
        words(
            r"https?://[A-Za-z0-9.-]+(:\d{1,5})?",
            "origins such as http://localhost:5173, as a quoted list or separated by commas",
        ),
        {DEVELOPMENT: "['http://localhost:5173']", PRODUCTION: ""},
        "origins of browser applications that may call the API",
        group=GROUP,
    )
    mtls_required: bool = variable(
        "JARVIS_MTLS_REQUIRED",
        boolean(),
        "false",
        "refuse requests without a client certificate that gunicorn's own TLS socket verified, or nginx in front of "
        "its unix socket (docs/security.md)",
        group=GROUP,
    )
    mtls_allowed_fingerprints: tuple[str, ...] | None = variable(
        "JARVIS_MTLS_ALLOWED_FINGERPRINTS",
        words(r"(sha256:)?[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}", "SHA-256 fingerprints in hex, separated by commas"),
        "",
        "certificates that are let in; unset: every one that the TLS server's authority signed",
        group=GROUP,
    )
    behind_proxy: bool = variable(
        "FL_BEHIND_PROXY",
        boolean(),
        "false",
        "believe the proxy in front: the scheme in `X-Forwarded-Proto`, the client's address in the last entry of "
        "`X-Forwarded-For`, and over a unix socket the client certificate. Only where nobody else reaches the port",
        group=GROUP,
    )
    throttle_organization: int = variable(
        "FL_THROTTLE_ORGANIZATION",
        integer(0, 10_000_000),
        "6000",
        "requests a minute of one organisation, by tokens that hold; an agent needs a few dozen. 0: unbounded",
        group=GROUP,
    )
    throttle_address: int = variable(
        "FL_THROTTLE_ADDRESS",
        integer(0, 10_000_000),
        "1200",
        "requests a minute from one address that prove nobody: without token or session, or with one that is refused. "
        "0: unbounded",
        group=GROUP,
    )
    hsts: str = variable(
        "FL_HSTS",
        choice("off", "host", "subdomains", "preload"),
        {DEVELOPMENT: "off", PRODUCTION: "subdomains"},
        "what browsers are told never to visit without TLS again, for a year: nothing, this host, the hosts below its "
        "name as well, or all of it for the lists that browsers are shipped with",
        group=GROUP,
    )
