"""One sender of telemetry at a time, streams that keep their order, and events that are set aside.

Safe while the release before runs: it writes rows without the new columns, and still finds the two that its own leases
are in (`token`, `lease_until`), which are left in the table and no longer in the model.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("platform", "0005_worker_heartbeat")]
    operations = [
        migrations.AlterField(
            "outboxevent",
            "token",
            models.CharField(blank=True, db_default="", help_text="of the process that is sending it", max_length=32),
        ),
        migrations.AddField(
            "outboxevent",
            "stream",
            models.CharField(
                db_default="", help_text="whose events stay in order; empty: the event's subject", max_length=128
            ),
        ),
        migrations.AddField(
            "outboxevent",
            "is_late",
            models.BooleanField(db_default=False, help_text="refused once: later events of its stream went before it"),
        ),
        migrations.AddField(
            "outboxevent",
            "refused_at",
            models.DateTimeField(blank=True, help_text="set aside: the sink took others, not this one", null=True),
        ),
        migrations.RemoveIndex("outboxevent", "outbox_unsent"),
        migrations.AddConstraint(
            "outboxevent",
            models.CheckConstraint(
                condition=models.Q(("sent_at", None), ("refused_at", None), _connector="OR"),
                name="outbox_sent_or_refused",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField("outboxevent", "token"),
                migrations.RemoveField("outboxevent", "lease_until"),
            ]
        ),
        migrations.CreateModel(
            name="TelemetrySender",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "token",
                    models.CharField(
                        blank=True, help_text="of the drain that sends; empty while it pauses", max_length=32
                    ),
                ),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "failures",
                    models.PositiveIntegerField(default=0, help_text="tries since the sink last took something"),
                ),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_telemetry_sender")],
            },
        ),
    ]
