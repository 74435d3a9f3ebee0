"""What each governance proposal is about; those that are there already get it from their entry."""

from django.db import migrations, models


def name_subjects(apps, schema_editor):
    proposal = apps.get_model("ledger", "Proposal")
    rows = proposal.objects.using(schema_editor.connection.alias).filter(type="governance")
    for row in rows.iterator():
        # Every entry so far is an admission.
        row.subject = f"admit {row.org_id} {row.key_id}"
        row.save(update_fields=["subject"])


class Migration(migrations.Migration):
    dependencies = [("ledger", "0005_late_approvals")]
    operations = [
        migrations.AddField(
            model_name="proposal",
            name="subject",
            field=models.CharField(
                help_text="what a governance entry is about; null: a release", max_length=160, null=True
            ),
        ),
        migrations.AlterField(
            model_name="proposal",
            name="key_id",
            field=models.CharField(help_text="the key that an entry brings to the chain", max_length=64, null=True),
        ),
        migrations.RunPython(name_subjects, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ("queued", "open"))),
                fields=("subject",),
                name="one_waiting_proposal_per_subject",
            ),
        ),
    ]
