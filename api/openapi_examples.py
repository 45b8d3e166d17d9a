"""Examples of the OpenAPI document, by the name of their schema. A test validates each against its schema."""

from typing import Any

PROBLEM: dict[str, Any] = {
    "type": "/api/v1/docs/errors#instance_locked",
    "title": "Conflict",
    "status": 409,
    "detail": "1 of 3 instances is locked.",
    "code": "instance_locked",
    "msg": "1 of 3 instances is locked.",
    "errors": [
        {
            "pointer": "/host",
            "reason": "web1:10.0.0.11 is locked by ann, deployment 12",
            "code": "instance_locked",
            "params": {"host": "web1:10.0.0.11", "user": "ann", "deployment": 12},
            "host_id": 1,
            "instance_id": 4,
        }
    ],
    "hint": 'Wait for it, leave the instance out, or send on_locked: "skip".',
    "params": {"locked": 1, "count": 3},
    "request_id": "5f2c",
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "ServiceCreate": {
        "name": "shop",
        "language": "python",
        "build_orig": "gitlab",
        "build_url": "https://gitlab.example/team/shop",
        "start_command": "systemctl --user start shop",
        "stop_command": "systemctl --user stop shop",
        "check_command": 'curl -fsS "http://$HOST:$PORT/health"',
        "check_timeout": 60,
        "keep_releases": 3,
    },
    "ServiceUpdate": {"check_timeout": 120},
    "ContainerCommandsRequest": {
        "publish": ["$PORT:8080"],
        "volumes": ["$SHARED/data:/var/lib/shop"],
        "variables": ["DB_PASSWORD"],
        "memory": "512m",
        "check": "url",
        "check_value": "http://127.0.0.1:$PORT/health",
    },
    "VersionCreate": {"version": "20260714-master-1a2b3c4", "ref": "master", "description": "Faster search"},
    "VersionUpdate": {"bad": True, "bad_reason": "loses orders"},
    "VersionChangeRequest": {"dest_version": 12, "host": ["web1", 2], "strategy": {"canary": 1, "batch_size": "20%"}},
    "InstallRequest": {"host": [1, 2], "port": 8080, "tag": "stable"},
    "RetryInstancesRequest": {"instances": [3, 4]},
    "InstanceUpdate": {"weight": 50},
    "UnlockRequest": {"reason": "the host was thrown away"},
    "HostCreate": {
        "hostname": "web1",
        "ip": "10.0.0.11",
        "username": "deploy",
        "credential_id": 1,
        "base_path": "/srv/deployer",
    },
    "TokenCreate": {"name": "gitlab-ci", "scopes": ["read", "publish"], "services": ["shop"]},
    "CredentialCreate": {"name": "deploy key", "kind": "password", "secret": "a secret"},
}
