"""E-mail over a real SMTP conversation: what it says, how it is protected, and what happens when it fails."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from federation.models import Organization
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.notifications.channels import email
from flxdr.notifications.channels.email import EmailChannel
from flxdr.notifications.channels.interface import ChannelDown, Message
from flxdr.notifications.kinds import Severity
from flxdr.notifications.models import Delivery
from flxdr.notifications.services.deliveries import deliver
from flxdr.notifications.services.review import review
from tests.notifications.servers import MailServer

OPENED = datetime(2100, 1, 1, tzinfo=UTC)
MESSAGE = Message(
    id=7,
    kind="round_failed",
    severity=Severity.WARNING,
    subject="r-1",
    text="Round 1 of global failed.",
    opened_at=OPENED,
    closed_at=None,
    url="https://fl.example.org/rounds",
)


def channel(mail: MailServer, scheme: str = "smtp", login: str = "") -> EmailChannel:
    return EmailChannel(
        server=f"{scheme}://{login}127.0.0.1:{mail.port}", sender="flxdr@example.org", recipients=["kim@example.org"]
    )


def test_one_notification(mail: MailServer) -> None:
    channel(mail).send([MESSAGE])
    (received,) = mail.received
    message = received.message
    assert message["Subject"] == "[flxdr] warning: Round 1 of global failed."
    assert (message["From"], message["To"]) == ("flxdr@example.org", "kim@example.org")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().splitlines() == [
        "warning: Round 1 of global failed.",
        "since 2100-01-01 00:00 UTC",
        "https://fl.example.org/rounds",
    ]


def test_what_is_over(mail: MailServer) -> None:
    channel(mail).send([replace(MESSAGE, text="A later round ended.", closed_at=OPENED + timedelta(hours=1))])
    message = mail.received[0].message
    assert message["Subject"] == "[flxdr] over: A later round ended."
    assert "since 2100-01-01 00:00 UTC, until 2100-01-01 01:00 UTC" in message.get_content()


def test_many_notifications_are_one_message(mail: MailServer) -> None:
    others = [replace(MESSAGE, id=8, severity=Severity.CRITICAL, text="Worse."), replace(MESSAGE, id=9, text="More.")]
    channel(mail).send([MESSAGE, *others])
    (received,) = mail.received
    assert received.message["Subject"] == "[flxdr] critical: 3 notifications"
    assert all(each.text in received.message.get_content() for each in [MESSAGE, *others])


def test_the_same_news_have_the_same_identity(mail: MailServer) -> None:
    over = replace(MESSAGE, closed_at=OPENED)
    for news in ([MESSAGE], [MESSAGE], [over], [MESSAGE, over]):
        channel(mail).send(news)
    first, again, end, both = (received.message["Message-ID"] for received in mail.received)
    assert first == again
    assert len({first, end, both}) == 3


def test_a_long_subject_is_cut_and_breaks_no_header(mail: MailServer) -> None:
    channel(mail).send([replace(MESSAGE, text="überall " * 100)])
    assert len(mail.received[0].message["Subject"].strip()) == email.LONGEST_SUBJECT
    assert mail.received[0].message.get_content().count("überall") == 100


@pytest.fixture
def certified(mail: MailServer, tmp_path: Path) -> Path:
    """The mail server has a certificate that it signed itself; the file with it."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(minutes=10))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    files = tmp_path / "mail.pem", tmp_path / "mail.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    mail.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mail.tls.load_cert_chain(*files)
    return files[0]


@pytest.mark.parametrize("scheme", ["submission", "smtps"])
def test_tls_with_a_password(mail: MailServer, certified: Path, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.tls_at_once = scheme == "smtps"
    monkeypatch.setenv("SSL_CERT_FILE", str(certified))
    channel(mail, scheme, "kim%40example.org:al%3Aright@").send([MESSAGE])
    (received,) = mail.received
    assert received.encrypted
    assert received.credentials == "\0kim@example.org\0al:right"


@pytest.mark.parametrize("scheme", ["submission", "smtps"])
def test_a_server_that_nobody_vouches_for_gets_nothing(mail: MailServer, certified: Path, scheme: str) -> None:
    mail.tls_at_once = scheme == "smtps"
    with pytest.raises(ChannelDown, match="certificate"):
        channel(mail, scheme, "kim:right@").send([MESSAGE])
    assert mail.received == []


def test_without_the_tls_that_was_asked_for_nothing_is_sent(mail: MailServer) -> None:
    with pytest.raises(ChannelDown, match="STARTTLS"):
        channel(mail, "submission", "kim:right@").send([MESSAGE])
    assert mail.received == []


def test_a_refused_login_shows_no_password(mail: MailServer) -> None:
    with pytest.raises(ChannelDown, match="535 who are you") as caught:
        channel(mail, login="kim:hunter2@").send([MESSAGE])
    assert "hunter2" not in f"{caught.value} {caught.value.as_problem()}"


@pytest.mark.django_db
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("trouble", ["refuses", "silent", "gone"])
def test_a_mail_server_in_trouble_keeps_the_delivery_due(
    by_mail: MailServer, clock: ManualClock, env: Callable[..., Env], monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(email, "TIMEOUT_SECONDS", 0.2)
    by_mail.answer = "451 try again later"
    by_mail.greets = trouble != "silent"
    if trouble == "gone":
        env(notify_smtp_url="smtp://127.0.0.1:1")
    Organization.objects.create(org_id="org-alpha", name="Alpha")
    review(clock=clock)
    assert deliver(clock=clock) == 0
    waiting = Delivery.objects.get()
    assert (waiting.attempts, waiting.sent_at) == (1, None)
    assert waiting.last_error.startswith("the mail server did not take the message: ")
    monkeypatch.setattr(email, "TIMEOUT_SECONDS", 10)
    by_mail.answer, by_mail.greets = "250 taken", True
    env(notify_smtp_url=f"smtp://127.0.0.1:{by_mail.port}")
    clock.advance(timedelta(seconds=16))
    assert deliver(clock=clock) == 1
    assert by_mail.received[0].recipients == ["kim@example.org", "lee@example.org"]
    assert "https://fl.example.org/organizations/org-alpha/" in (by_mail.received[0].message.get_content())


@pytest.mark.django_db
@pytest.mark.usefixtures("quiet")
def test_without_an_address_of_the_site_links_are_paths(
    by_mail: MailServer, clock: ManualClock, env: Callable[..., Env]
) -> None:
    env(public_url=None)
    Organization.objects.create(org_id="org-alpha", name="Alpha")
    review(clock=clock)
    deliver(clock=clock)
    assert by_mail.received[0].message.get_content().splitlines()[-1] == "/organizations/org-alpha/"
