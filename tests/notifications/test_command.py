"""`manage.py notify_test` says what came of each channel, and stores nothing."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from flxdr.notifications.models import Notification
from tests.notifications.servers import Hook, MailServer


def test_without_a_channel() -> None:
    with pytest.raises(CommandError, match="no channel is configured"):
        call_command("notify_test")


@pytest.mark.django_db
def test_every_channel_gets_a_message(by_mail: MailServer, by_hook: Hook) -> None:
    out = StringIO()
    call_command("notify_test", stdout=out)
    assert out.getvalue().splitlines() == ["email: the message was taken", "webhook: the message was taken"]
    assert by_mail.received[0].message["Subject"] == "[flxdr] info: This is a test: notifications arrive here."
    assert by_hook.posted[0].document["kind"] == "test"
    assert not Notification.objects.exists()


def test_a_channel_that_fails_is_named_and_stops_no_other(by_mail: MailServer, by_hook: Hook) -> None:
    by_mail.answer = "554 we know you not"
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="not delivered: email"):
        call_command("notify_test", stdout=out, stderr=err)
    assert "email: the mail server did not take the message: 554 we know you not" in err.getvalue()
    assert out.getvalue() == "webhook: the message was taken\n"
