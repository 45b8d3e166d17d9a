"""Real git repositories for tests."""

import os
import subprocess
from pathlib import Path


class Repository:
    """`Repository(folder)`: one commit on master with a file app; `commit` adds another."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # a build is another user
        self.git("init", "-q", "-b", "master")
        self.commit({"app": "#!/bin/sh\necho 1\n"})

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def commit(self, files: dict[str, str]) -> str:
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a change")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *words: str) -> str:
        who = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=who, check=True, umask=0o022, capture_output=True, text=True
        )
        return done.stdout
