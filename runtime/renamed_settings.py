"""Refuse to start with an environment variable under a name that is not read any more."""

import os
from pathlib import Path

from .environment import SECRETS, InvalidSetting, text

RENAMED = {
    "VAR": "DATA_DIR",
    "LEASE": "OPERATION_LEASE_SECONDS",
    "SWEEP_EVERY": "SWEEP_INTERVAL",
    "WEB_GRACE": "WEB_SHUTDOWN_TIMEOUT",
    "KEEP_OUTPUT_DAYS": "OUTPUT_RETENTION_DAYS",
    "WORKER_SLOTS": "WORKER_CONCURRENCY",
    "BUILD_SLOTS": "BUILD_CONCURRENCY",
    "STREAM_SLOTS": "MAX_EVENT_STREAMS",
    "DATABASE_POOL": "DATABASE_POOL_SIZE",
    "BUILD_POLL": "BUILD_POLL_INTERVAL",
    "UNKNOWN_DEADLINE": "UNREACHABLE_TIMEOUT",
    "FIELD_KEYS": "FIELD_ENCRYPTION_KEYS",
    "CALLBACK_ALLOW": "CALLBACK_ALLOWED_NETWORKS",
    "BUILD_PROTOCOLS": "GIT_ALLOWED_PROTOCOLS",
    "DELETE_TRIES": "MAX_DELETE_ATTEMPTS",
    "SESSION_IDLE": "SESSION_IDLE_TIMEOUT",
    "SESSION_ABSOLUTE": "SESSION_ABSOLUTE_TIMEOUT",
    "TOKEN_DAYS": "TOKEN_LIFETIME_DAYS",
    "HEAD_TIMEOUT": "REQUEST_HEADER_TIMEOUT",
    "BODY_TIMEOUT": "REQUEST_BODY_TIMEOUT",
    "UPLOAD_IDLE": "UPLOAD_IDLE_TIMEOUT",
    "UPLOAD_RATE": "MIN_UPLOAD_RATE",
    "STREAMS_PER_CALLER": "MAX_EVENT_STREAMS_PER_USER",
    "UPLOADS_PER_CALLER": "MAX_UPLOADS_PER_USER",
    "CONNECTIONS_PER_ADDRESS": "MAX_CONNECTIONS_PER_ADDRESS",
}


def refuse_renamed() -> None:
    """Raise InvalidSetting for the first old name that is set: ignoring it would silently apply the default."""
    folder = text("CREDENTIALS_DIRECTORY")
    for old, new in RENAMED.items():
        for suffix in ("", "_FILE") if new in SECRETS else ("",):
            if os.environ.get(old + suffix, "").strip():
                raise InvalidSetting(old + suffix, f"is now called {new}{suffix}: rename it")
        if new in SECRETS and folder and (Path(folder) / old).exists():
            raise InvalidSetting(old, f"is now called {new}: rename the credential")
