"""Turn the table of roles into groups."""

from __future__ import annotations

from typing import Any

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.management import create_contenttypes

from flxdr.operators.roles import EXTRA, VIEWED_APPS


def grant_roles(*, using: str, apps: Any = installed, **_: Any) -> None:
    """After every migration, give each role's group what the table says; what it has beside that stays.

    So a new model is seen by all roles as soon as its table is there, and `flush` takes no role away. Django makes an
    application's permissions in a signal of its own, maybe after this one, so those that are needed are made first.

    Args:
        apps: the models as the migrations that ran know them, where the signal comes from migrations; an early state
            of them may lack some.
    """
    try:
        permissions = apps.get_model("auth", "Permission").objects.using(using)
        groups = apps.get_model("auth", "Group").objects.using(using)
    except LookupError:
        return
    for label in (*VIEWED_APPS, *sorted(_apps_of_extras())):
        config = installed.get_app_config(label)
        create_contenttypes(config, verbosity=0, using=using, apps=apps)
        create_permissions(config, verbosity=0, using=using, apps=apps)
    by_name = {
        f"{app}.{codename}": pk
        for pk, app, codename in permissions.values_list("pk", "content_type__app_label", "codename")
    }
    viewed = {pk for name, pk in by_name.items() if name.startswith(tuple(f"{app}.view_" for app in VIEWED_APPS))}
    for role, extra in EXTRA.items():
        group, _created = groups.get_or_create(name=role)
        group.permissions.add(*viewed, *(by_name[name] for name in extra if name in by_name))


def _apps_of_extras() -> set[str]:
    return {name.split(".")[0] for extra in EXTRA.values() for name in extra} - set(VIEWED_APPS)
