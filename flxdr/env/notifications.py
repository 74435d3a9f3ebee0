"""What operators are told of, and how."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.platform.configuration import address, choice, integer, matching, text, variable, words

GROUP = "Notifications"


@dataclass(frozen=True)
class Notifications:
    """The group *Notifications*."""

    public_url: str | None = variable(
        "FL_PUBLIC_URL",
        address(
            r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?", "an address such as https://fl.example.org"
        ),
        "",
        "the site's address in links that leave it; unset: messages name only paths",
        group=GROUP,
    )
    notify_level: str = variable(
        "FL_NOTIFY_LEVEL",
        choice("info", "warning", "critical"),
        "info",
        "the lowest severity that leaves the site; the pages show every one",
        group=GROUP,
    )
    notify_rounds_left: int = variable(
        "FL_NOTIFY_ROUNDS_LEFT",
        integer(0, 1000),
        "3",
        "rounds that an organisation's privacy budget still pays for when operators are told that it is low",
        group=GROUP,
    )
    notify_silent_after: int = variable(
        "FL_NOTIFY_SILENT_AFTER",
        integer(120, 30 * 86400),
        "900",
        "seconds for which an active organisation was not heard of when operators are told",
        group=GROUP,
    )
    notify_email: tuple[str, ...] | None = variable(
        "FL_NOTIFY_EMAIL",
        words(r"[^\s@,<>\"]+@[A-Za-z0-9.-]+", "e-mail addresses, separated by commas"),
        "",
        "who gets notifications by e-mail; needs `FL_NOTIFY_SMTP_URL` and `FL_NOTIFY_FROM`",
        group=GROUP,
    )
    notify_smtp_url: str | None = variable(
        "FL_NOTIFY_SMTP_URL",
        address(
            r"(smtp|submission|smtps)://([^\s:@/]+:[^\s:@/]+@)?([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?",
            "`smtps://user:password@host:port` (TLS), `submission://...` (STARTTLS) or `smtp://...` (in the clear); "
            "special characters of user and password percent-encoded",
        ),
        "",
        "the mail server. User, password and port (465, 587, 25) may be left out",
        group=GROUP,
        secret=True,
    )
    notify_from: str | None = variable(
        "FL_NOTIFY_FROM",
        matching(r"[^\s@,<>\"]+@[A-Za-z0-9.-]+", "an e-mail address"),
        "",
        "sender of the e-mails",
        group=GROUP,
    )
    notify_webhook_url: str | None = variable(
        "FL_NOTIFY_WEBHOOK_URL",
        address(
            r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/[!-~]*)?", "an https:// (or http://) address"
        ),
        "",
        "where notifications are posted as JSON; production takes https alone",
        group=GROUP,
        secret=True,
    )
    notify_webhook_secret: str | None = variable(
        "FL_NOTIFY_WEBHOOK_SECRET",
        text(),
        "",
        "signs what is posted: `X-Flxdr-Signature` is the HMAC-SHA256 of the body under it",
        group=GROUP,
        secret=True,
    )
