"""The Merkle tree over the chain's header bytes; a chain that exists already gets the tree that it would have grown."""

from django.db import migrations, models

from ledger.chain.tree import Frontier

TABLE = "tree_nodes"
BATCH = 1000
# As in 0002: SQLite keeps deletions, which Django itself makes there.
SQLITE = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE}
BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END
"""
POSTGRESQL = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}
FOR EACH ROW EXECUTE FUNCTION ledger_append_only()
"""


def grow(apps, schema_editor):
    block, node = apps.get_model("ledger", "Block"), apps.get_model("ledger", "TreeNode")
    alias = schema_editor.connection.alias
    frontier, height, position = Frontier(), -1, 0
    while headers := list(
        block.objects.using(alias).filter(height__gt=height).order_by("height").values_list("height", "header")[:BATCH]
    ):
        nodes = [hash_ for _, header in headers for hash_ in frontier.append(bytes(header))]
        rows = [node(position=position + number, hash=hash_) for number, hash_ in enumerate(nodes)]
        node.objects.using(alias).bulk_create(rows)
        position += len(nodes)
        height = headers[-1][0]


def create_trigger(apps, schema_editor):
    schema_editor.execute(POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE, params=None)


def drop_trigger(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    schema_editor.execute(f"DROP TRIGGER {TABLE}_append_only" + (f" ON {TABLE}" if on_postgresql else ""))


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_append_only")]
    operations = [
        migrations.CreateModel(
            name="TreeNode",
            fields=[
                ("position", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("hash", models.BinaryField(max_length=32)),
            ],
            options={"db_table": TABLE, "ordering": ("position",)},
        ),
        migrations.RunPython(grow, migrations.RunPython.noop),
        migrations.RunPython(create_trigger, drop_trigger),
    ]
