"""Entries for releases of samples. SQLite makes the table anew for it and loses the trigger, so that is made again."""

from django.db import migrations, models

TABLE = "privacy_budgetentry"


def create_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_append_only")
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE} "
            f"BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END"
        )


class Migration(migrations.Migration):
    dependencies = [("privacy", "0002_append_only")]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, create_trigger),  # the way back makes the table anew as well
        migrations.RemoveConstraint(
            model_name="budgetentry",
            name="entry_has_its_mechanism",
        ),
        migrations.AddField(
            model_name="budgetentry",
            name="sampling_ppm",
            field=models.PositiveIntegerField(default=1000000, help_text="rate of sampling, millionths"),
        ),
        migrations.AddField(
            model_name="budgetentry",
            name="steps",
            field=models.PositiveBigIntegerField(default=1, help_text="releases alike in the round"),
        ),
        migrations.AlterField(
            model_name="budgetentry",
            name="sensitivity_ppm",
            field=models.PositiveBigIntegerField(
                blank=True,
                help_text="L2, millionths of model units, or of clipping norms where records are sampled",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="budgetentry",
            name="sigma_ppm",
            field=models.PositiveBigIntegerField(
                blank=True, help_text="noise, millionths of the same unit as the sensitivity", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="budgetentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("delta_ppt__isnull", True),
                        ("kind", "unprotected"),
                        ("mechanism", "none"),
                        ("sensitivity_ppm__isnull", True),
                        ("sigma_ppm__isnull", True),
                    ),
                    models.Q(
                        ("delta_ppt__gte", 1),
                        ("delta_ppt__isnull", False),
                        ("kind__in", ("reserved", "spent", "released")),
                        ("mechanism__in", ("gaussian", "sampled_gaussian")),
                        ("sensitivity_ppm__gte", 1),
                        ("sensitivity_ppm__isnull", False),
                        ("sigma_ppm__gte", 1),
                        ("sigma_ppm__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="entry_has_its_mechanism",
            ),
        ),
        migrations.AddConstraint(
            model_name="budgetentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("sampling_ppm__gte", 1), ("sampling_ppm__lte", 1000000), ("steps__gte", 1)),
                name="sampling_is_a_rate_of_some_steps",
            ),
        ),
        migrations.RunPython(create_trigger, migrations.RunPython.noop),
    ]
