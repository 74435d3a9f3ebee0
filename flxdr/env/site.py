"""The site itself."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.env.modes import DEVELOPMENT, PRODUCTION
from flxdr.platform.configuration import choice, integer, matching, variable, words

GROUP = "Site"


@dataclass(frozen=True)
class Site:
    """The group *Site*."""

    env: str = variable(
        "FL_ENV",
        choice(DEVELOPMENT, PRODUCTION),
        DEVELOPMENT,
        "`development` opens registration and lets the machine's own user operate without a token; `production` "
        "refuses to start without real secrets",
        group=GROUP,
    )
    allowed_hosts: tuple[str, ...] | None = variable(
        "FL_ALLOWED_HOSTS",
        words(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\]", "host names, separated by commas"),
        {DEVELOPMENT: "localhost,127.0.0.1,[::1]", PRODUCTION: ""},
        "host names under which the site answers; required in production",
        group=GROUP,
    )
    backend_port: int = variable(
        "BACKEND_PORT", integer(1, 65535), "8000", "port on which `manage.py up` serves", group=GROUP
    )
    backend_host: str = variable(
        "BACKEND_HOST",
        matching(r"[A-Za-z0-9.:-]+", "an address"),
        "127.0.0.1",
        "address on which `manage.py up` serves; `0.0.0.0` opens it to the network",
        group=GROUP,
    )
    log_level: str = variable(
        "FL_LOG_LEVEL",
        choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
        "DEBUG adds submissions and aggregation steps, INFO shows rounds and registrations, ERROR only failures",
        group=GROUP,
    )
