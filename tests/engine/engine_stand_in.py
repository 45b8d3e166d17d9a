"""An engine's client as a script: what it was asked is in `asked`, the images that the host has are in `images`, and
what the client found in its configuration is in `signed_in`. Each is a file of its folder."""

import base64
import json
import secrets
import shlex
from pathlib import Path

from .host import Host

DIGEST = "sha256:" + "0" * 63
CLIENT = """#!/bin/sh
d=%s
printf '%%s\\n' "$*" >>"$d/asked"
case $1 in
image)
	for last; do :; done
	case $2 in
	inspect) grep -qxF -- "$last" "$d/images" ;;
	rm) [ ! -e "$d/dead" ] || sleep 60; grep -vxF -- "$last" "$d/images" >"$d/left"; mv "$d/left" "$d/images" ;;
	esac
	;;
ps) if [ -e "$d/used" ]; then cat "$d/used"; fi ;;
pull)
	echo "pulling $2"
	if [ -n "$REGISTRY_AUTH_FILE" ]; then
		cat "$DOCKER_CONFIG/config.json" >>"$d/signed_in"
		ls -ld "$DOCKER_CONFIG" "$REGISTRY_AUTH_FILE" >>"$d/modes"
	fi
	[ ! -e "$d/slow" ] || { touch "$d/pulling"; sleep 60; }
	[ ! -e "$d/refuses" ] || { cat "$d/refuses" >&2; exit 1; }
	printf '%%s\\n' "$2" >>"$d/images"
	;;
esac
"""


def reference(digit: int, name: str = "registry.example:5000/shop/web") -> str:
    return f"{name}@{DIGEST}{digit}"


class StandIn:
    def __init__(self, host: Host, name: str = "docker"):
        self.folder = host.root / "engine"
        self.secret = base64.b64encode(f"robot$ci:{secrets.token_hex(12)}".encode()).decode()
        self.sign_in = json.dumps({"auths": {"registry.example:5000": {"auth": self.secret}}})
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o777)
        (self.folder / "images").touch()
        (self.folder / "images").chmod(0o666)
        client = host.tools / name
        client.write_text(CLIENT % shlex.quote(str(self.folder)))
        client.chmod(0o755)

    def says(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def asked(self) -> list[str]:
        return self.lines("asked")

    @property
    def images(self) -> list[str]:
        return self.lines("images")

    def forget(self) -> None:
        (self.folder / "asked").unlink(missing_ok=True)

    def sign_in_folders(self) -> list[Path]:
        """Where this host's sign-in lies on this machine."""
        found = [*Path("/dev/shm").glob(".deployer-*/config.json"), *Path("/tmp").glob(".deployer-*/config.json")]
        return [path.parent for path in found if self.secret in path.read_text()]
