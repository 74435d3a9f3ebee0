"""`python -m tests.support.preview [port]`: the pages over the showcase, for those who work on them.

The data folder is new every time and goes away with the process. Sign in as `operator`, password `preview-password`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from wsgiref.simple_server import make_server


def main(port: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django  # noqa: PLC0415 - the settings come first

    django.setup()
    from django.conf import settings  # noqa: PLC0415
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415

    from tests.support.showcase import SHOWN, Showcase  # noqa: PLC0415

    settings.FLXDR = replace(settings.FLXDR, **SHOWN)
    call_command("migrate", verbosity=0)
    Showcase().build()
    User.objects.create_superuser("operator", password="preview-password")
    sys.stdout.write(f"http://localhost:{port}/ as operator, preview-password\n")
    sys.stdout.flush()
    make_server("127.0.0.1", port, get_wsgi_application()).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
