"""What a version is called after the branch and the commit that it was built from. The one rule: the server calls them
so where a pipeline names none, `deployctl versions name` prints it, and the shell in docs/api.md says the same.

    TIME-BRANCH-COMMIT, such as 20260131120000-feature-42-1a2b3c4d

TIME is when the commit was made, in UTC to the second, so that a job that is tried again names the same version. In
BRANCH every run of what is no letter, digit or one of . _ + - of ASCII is one "-", what is in front of its first letter
or digit and behind its last one is left out, and it ends after 100 characters; where nothing is left it is "ref".
COMMIT is the first 8 characters of the hash.
"""

import re
from datetime import UTC, datetime

LONGEST = 128
BRANCH = 100
COMMIT = 8


def version_name(ref: str, commit: str, moment: datetime) -> str:
    """`moment` needs a time zone. Raises ValueError for a commit that is no hash."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        raise ValueError("must be the hash of a commit: 7 to 64 of 0-9 and a-f")
    branch = re.sub(r"[^A-Za-z0-9._+-]+", "-", ref).strip("._+-")[:BRANCH] or "ref"
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}-{branch}-{commit[:COMMIT]}"
