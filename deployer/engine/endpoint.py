"""Where a host is, how it is recognised, how we log in, and how long we wait. Facts only; `ssh` acts on them."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """Seconds after which waiting ends. `silence`: how long a peer may say nothing at all, although it is asked
    every `keepalive` seconds, before it counts as dead; the sum stays under the 30 s that are promised."""

    connect: float = 10.0
    handshake: float = 10.0
    auth: float = 10.0
    keepalive: float = 5.0
    silence: float = 20.0


@dataclass(frozen=True)
class Endpoint:
    """An SSH server and the way in. `host_key` is the pinned one, as `ssh-ed25519 AAAA…`; empty means not trusted yet.
    `key` is the text of a private key. `key`, `password` and `passphrase` may be a plain text or an object with
    `reveal()`; they appear in no repr. `package_port`: the port on which hosts behind this one fetch
    packages from it (0: they do not), at `package_address` where they know it by another address. `legacy`: offer old
    algorithms too."""

    address: str
    port: int = 22
    username: str = "root"
    host_key: str = ""
    key: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    jump: "Endpoint | None" = None
    package_port: int = 0
    package_address: str = ""
    legacy: bool = False

    @property
    def where(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def fetch_from(self) -> str:
        return self.package_address or self.address


def shares(endpoint: Endpoint, deadline: float) -> Limits:
    """Return each wait's part of `deadline` seconds: three for every server on the way, and one for the probe."""
    hops, hop = 1, endpoint
    while hop.jump is not None:
        hops, hop = hops + 1, hop.jump
    share = deadline / (3 * hops + 1)
    return Limits(connect=share, handshake=share, auth=share, keepalive=share / 2, silence=2 * share)


def reveal(secret: str) -> str:
    """Return the text of a secret, whatever type guards it."""
    return secret.reveal() if hasattr(secret, "reveal") else secret


def host_key_blob(host_key: str) -> bytes:
    """Return the key's bytes as they travel on the wire. Raise ValueError where the text is not a public key."""
    words = host_key.split()
    if len(words) < 2:
        raise ValueError("a host key looks like: ssh-ed25519 AAAA…")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the host key is not valid base64") from None
    name = words[0].encode("ascii", "replace")
    if blob[: 4 + len(name)] != len(name).to_bytes(4, "big") + name:
        raise ValueError("the host key's bytes are of another type than its name says")
    return blob


def host_key_text(blob: bytes) -> str:
    """Return `ssh-ed25519 AAAA…` from the key's bytes."""
    name = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
    return f"{name} {base64.b64encode(blob).decode()}"


def fingerprint(host_key: str) -> str:
    """Return `SHA256:…`, as `ssh-keygen -lf` prints it. Raise ValueError where the text is not a public key."""
    digest = hashlib.sha256(host_key_blob(host_key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
