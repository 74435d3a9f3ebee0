"""Names of two operators fit into an event; who may export the trail is a permission of its own."""

from importlib import import_module

from django.db import migrations, models

_append_only = import_module("flxdr.platform.migrations.0002_audit_append_only")


def restore_trigger(apps, schema_editor):
    """On SQLite a changed column is a new table, without the old one's trigger."""
    if schema_editor.connection.vendor == "sqlite":
        _append_only.create_triggers(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("platform", "0002_audit_append_only")]
    operations = [
        migrations.RunPython(migrations.RunPython.noop, restore_trigger),
        migrations.AlterField(
            "auditevent",
            "actor",
            models.CharField(help_text="who did it, or both operators where two are needed", max_length=400),
        ),
        migrations.AlterModelOptions(
            name="auditevent",
            options={
                "ordering": ("-id",),
                "permissions": (("export_auditevent", "Can export the audit trail"),),
            },
        ),
        migrations.RunPython(restore_trigger, migrations.RunPython.noop),
    ]
