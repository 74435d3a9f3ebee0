"""E-mail: what there is to tell at one time is one message, so that a bad hour does not flood a mailbox."""

from __future__ import annotations

import hashlib
import smtplib
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.utils.translation import gettext

from flxdr.notifications.channels.interface import ChannelDown, Message
from flxdr.notifications.models import Delivery

TIMEOUT_SECONDS = 10
LONGEST_SUBJECT = 140
PORTS = {"smtp": 25, "submission": 587, "smtps": 465}
"""`submission` asks for TLS by STARTTLS and sends nothing without it; `smtps` is TLS from the start."""


class EmailChannel:
    """One message to all recipients, through one server."""

    name: ClassVar[str] = Delivery.Channel.EMAIL.value
    batch: ClassVar[int] = 50

    def __init__(self, *, server: str, sender: str, recipients: Sequence[str]) -> None:
        """`server`: `smtp://`, `submission://` or `smtps://`, with user, password and port if need be."""
        self.server = urlsplit(server)
        self.sender = sender
        self.recipients = list(recipients)

    def send(self, messages: Sequence[Message]) -> None:
        connection = self._connection()
        email = EmailMessage(
            subject=_subject(messages),
            body=_body(messages),
            from_email=self.sender,
            to=self.recipients,
            headers={
                "Auto-Submitted": "auto-generated",  # RFC 3834: nobody's absence note answers
                "Message-ID": f"<{_identity(messages)}@{self.sender.rpartition('@')[2]}>",
            },
            connection=connection,
        )
        try:
            try:
                email.send()
            finally:
                connection.close()  # one that failed half-way is open still
        except (OSError, smtplib.SMTPException) as error:
            raise ChannelDown(f"the mail server did not take the message: {_reason(error)}") from error

    def _connection(self) -> EmailBackend:
        scheme = self.server.scheme
        return EmailBackend(
            host=self.server.hostname,
            port=self.server.port or PORTS[scheme],
            username=unquote(self.server.username or ""),
            password=unquote(self.server.password or ""),
            use_tls=scheme == "submission",
            use_ssl=scheme == "smtps",
            timeout=TIMEOUT_SECONDS,
        )


def _subject(messages: Sequence[Message]) -> str:
    if len(messages) == 1:
        text = f"{_label(messages[0])}: {messages[0].text}"
    else:
        gravest = max((message.severity for message in messages), key=lambda severity: severity.rank)
        text = f"{gravest.label}: " + gettext("%(count)s notifications") % {"count": len(messages)}
    return f"[flxdr] {text}"[:LONGEST_SUBJECT]


def _body(messages: Sequence[Message]) -> str:
    return "\n\n".join(_paragraph(message) for message in messages) + "\n"


def _paragraph(message: Message) -> str:
    moments = gettext("since %(moment)s UTC") % {"moment": f"{message.opened_at:%Y-%m-%d %H:%M}"}
    if message.closed_at is not None:
        moments += ", " + gettext("until %(moment)s UTC") % {"moment": f"{message.closed_at:%Y-%m-%d %H:%M}"}
    return f"{_label(message)}: {message.text}\n{moments}\n{message.url}"


def _label(message: Message) -> str:
    return gettext("over") if message.is_over else str(message.severity.label)


def _identity(messages: Sequence[Message]) -> str:
    """The same for the same news, so that mail systems recognise a message that was sent twice."""
    news = ",".join(
        f"{message.id}{'-' if message.is_over else '+'}{message.opened_at.isoformat()}" for message in messages
    )
    return hashlib.sha256(news.encode()).hexdigest()[:32]


def _reason(error: Exception) -> str:
    """What the server answered, or the system; never what was sent to it."""
    if isinstance(error, smtplib.SMTPResponseException):
        answer = error.smtp_error
        return f"{error.smtp_code} {answer.decode(errors='replace') if isinstance(answer, bytes) else answer}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "it refused every recipient"
    return str(error) or type(error).__name__
