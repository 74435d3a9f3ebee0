#!/usr/bin/env python3
"""Django's command line for the coordinator."""

import os
import sys

from django.core.management import execute_from_command_line

from flxdr.platform.configuration import InvalidEnvironment

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")
    try:
        execute_from_command_line(sys.argv)
    except InvalidEnvironment as error:
        sys.exit(f"The environment is refused:\n{error}")
