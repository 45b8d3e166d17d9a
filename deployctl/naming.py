"""The name of a version, made from its branch and commit. The only rule: the server uses it if a pipeline gives no
name, `deployctl versions name` prints it, and the shell code in docs/api.md is equal.

    TIME-BRANCH-COMMIT, such as 20260131120000-feature-42-1a2b3c4d

TIME is the time of the commit in UTC, to the second, so that a repeated job names the same version. In BRANCH every run
of characters other than ASCII letters, digits and . _ + - becomes one "-"; characters before the first and after the
last letter or digit are removed; it has at most 100 characters, and is "ref" if nothing is left. COMMIT is the first 8
characters of the hash.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

MAX_LENGTH = 128
MAX_BRANCH = 100
COMMIT_LENGTH = 8


def version_name(ref: str, commit: str, moment: datetime) -> str:
    """Return the name. `moment` needs a time zone. Raise ValueError if `commit` is not a hash."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        raise ValueError("must be the hash of a commit: 7 to 64 of 0-9 and a-f")
    branch = re.sub(r"[^A-Za-z0-9._+-]+", "-", ref).strip("._+-")[:MAX_BRANCH] or "ref"
    return f"{moment.astimezone(timezone.utc):%Y%m%d%H%M%S}-{branch}-{commit[:COMMIT_LENGTH]}"
