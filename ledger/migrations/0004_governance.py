"""An index over governance blocks; a chain that exists already gets the rows that it would have written."""

from django.db import migrations, models

from ledger.chain.block import parse_header
from ledger.chain.entries import index_entry


def index(apps, schema_editor):
    block, entry = apps.get_model("ledger", "Block"), apps.get_model("ledger", "GovernanceEntry")
    alias = schema_editor.connection.alias
    blocks = block.objects.using(alias).exclude(type="release").order_by("height")
    for height, header in blocks.values_list("height", "header").iterator():
        for action in parse_header(bytes(header)).governance.actions:
            entry.objects.using(alias).create(height=height, **index_entry(action))


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_tree")]
    operations = [
        migrations.CreateModel(
            name="GovernanceEntry",
            fields=[
                ("height", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("action", models.CharField(db_index=True, max_length=20)),
                ("org_id", models.CharField(max_length=64, null=True)),
                ("key_id", models.CharField(max_length=64, null=True)),
                ("model_name", models.CharField(max_length=64, null=True)),
                ("model_version", models.PositiveBigIntegerField(null=True)),
            ],
            options={
                "db_table": "governance_entries",
                "ordering": ("height",),
                "verbose_name_plural": "governance entries",
            },
        ),
        migrations.RunPython(index, migrations.RunPython.noop),
    ]
