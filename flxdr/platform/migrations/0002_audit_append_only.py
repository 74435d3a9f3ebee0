"""Triggers that keep the audit trail append-only against whoever goes around the models."""

from django.db import migrations

# SQLite refuses changes but not deletions: Django empties tables there row by row (`flush`, transactional tests), which
# a DELETE trigger would stop.
SQLITE = """
CREATE TRIGGER platform_auditevent_append_only BEFORE UPDATE ON platform_auditevent
BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END
"""
POSTGRESQL = (
    """
CREATE FUNCTION platform_audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
""",
    """
CREATE TRIGGER platform_auditevent_append_only BEFORE UPDATE OR DELETE ON platform_auditevent
FOR EACH ROW EXECUTE FUNCTION platform_audit_append_only()
""",
)


def create_triggers(apps, schema_editor):
    statements = POSTGRESQL if schema_editor.connection.vendor == "postgresql" else (SQLITE,)
    for statement in statements:
        schema_editor.execute(statement, params=None)


def drop_triggers(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER platform_auditevent_append_only ON platform_auditevent")
        schema_editor.execute("DROP FUNCTION platform_audit_append_only()")
    else:
        schema_editor.execute("DROP TRIGGER platform_auditevent_append_only")


class Migration(migrations.Migration):
    dependencies = [("platform", "0001_initial")]
    operations = [migrations.RunPython(create_triggers, drop_triggers)]
