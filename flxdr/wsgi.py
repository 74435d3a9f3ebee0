"""The WSGI application: `gunicorn flxdr.wsgi`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")

application = get_wsgi_application()

from flxdr.checks import refuse_to_boot_misconfigured  # noqa: E402 - needs Django to be set up
from flxdr.platform.logging import log_to_stdout  # noqa: E402

log_to_stdout()
refuse_to_boot_misconfigured()
