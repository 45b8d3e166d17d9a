#!/usr/bin/env python
"""Django's command line."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
    if sys.argv[1:2] == ["field_key"]:
        os.environ["DEBUG"] = "1"  # it makes a secret without which the settings cannot be read otherwise
    if sys.argv[1:2] == ["migrate"]:
        from runtime.postgresql import limits

        limits.choose(limits.MIGRATION)
    from runtime.gc_tuning import short_lived_process

    with short_lived_process():
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
