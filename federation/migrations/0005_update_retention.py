"""Rounds remember when the files of their submissions were discarded."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0004_keys_and_withdrawals")]
    operations = [
        migrations.AddField(
            model_name="traininground",
            name="updates_discarded_at",
            field=models.DateTimeField(
                blank=True, help_text="when the files of its submissions were discarded", null=True
            ),
        ),
    ]
