"""An organisation that lost its last key, and a release that was withdrawn, as states of their own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("federation", "0003_aggregation_shard"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="modelversion",
            name="released_version_has_block",
        ),
        migrations.RemoveConstraint(
            model_name="organization",
            name="organization_key_matches_status",
        ),
        migrations.AlterField(
            model_name="modelversion",
            name="status",
            field=models.CharField(
                choices=[
                    ("initial", "Initial"),
                    ("candidate", "aggregated, waiting for approvals"),
                    ("released", "sealed on the chain"),
                    ("refused", "no quorum approved it"),
                    ("withdrawn", "released, and withdrawn by a later block"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="organization",
            name="key_status",
            field=models.CharField(
                choices=[
                    ("none", "no key"),
                    ("unproven", "declared without proof of possession"),
                    ("proven", "proof of possession verified"),
                    ("revoked", "its last key was revoked"),
                ],
                default="none",
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="modelversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status__in", ("released", "withdrawn")), _negated=True),
                    ("block_height__isnull", False),
                    _connector="OR",
                ),
                name="released_version_has_block",
            ),
        ),
        migrations.AddConstraint(
            model_name="organization",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("key_status", "none"), ("public_key__isnull", True)),
                    models.Q(("key_status__in", ("unproven", "proven", "revoked")), ("public_key__isnull", False)),
                    _connector="OR",
                ),
                name="organization_key_matches_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="organization",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("key_status", "revoked"), _negated=True), ("status", "suspended"), _connector="OR"
                ),
                name="organization_without_its_key_is_suspended",
            ),
        ),
    ]
