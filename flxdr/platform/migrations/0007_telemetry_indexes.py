"""Indexes of the outbox, which everything writes to: built beside the writers."""

from django.db import migrations, models

from flxdr.platform.operations import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("platform", "0006_telemetry_streams")]
    operations = [
        AddIndexConcurrently(
            "outboxevent",
            models.Index(
                condition=models.Q(("refused_at__isnull", True), ("sent_at__isnull", True)),
                fields=["id"],
                name="outbox_waiting",
            ),
        ),
        AddIndexConcurrently(
            "outboxevent",
            models.Index(condition=models.Q(("sent_at__isnull", False)), fields=["sent_at"], name="outbox_sent"),
        ),
        AddIndexConcurrently(
            "outboxevent",
            models.Index(
                condition=models.Q(("refused_at__isnull", False)), fields=["refused_at"], name="outbox_refused"
            ),
        ),
    ]
