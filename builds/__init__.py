"""Builds: a version's package made at its origin (GitLab, Jenkins, or a git repository cloned by a worker)."""
