"""A real registry (`docker-registry serve`), and images pushed to it by plain HTTP, without an engine."""

import base64
import gzip
import hashlib
import io
import json
import shutil
import ssl
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt

from .network import free_port, wait_for_port
from .token_server import ISSUER, SERVICE, TokenServer
from .worker import Process

MISSING = "docker-registry is not installed: scripts/test-packages installs it"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_KINDS = {
    False: (
        MANIFEST,
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        LIST,
    ),
    True: (
        OCI_MANIFEST,
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        OCI_INDEX,
    ),
}


def installed() -> bool:
    return bool(shutil.which("docker-registry", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"))


class ImageRegistry(Process):
    """`with ImageRegistry(folder, users={"ci": "word"}) as registry:`; `registry.url`, `registry.host` in references.

    `tls`: (certificate, key); `client_ca`: a client certificate of this authority is required, and `client` is one.
    `tokens`: sign-in at this token server instead of Basic. `readonly`: with the folder of an earlier one, its images.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        tls: tuple[str, str] | None = None,
        client_ca: str = "",
        client: tuple[str, str] | None = None,
        tokens: TokenServer | None = None,
        readonly: bool = False,
        address: str = "127.0.0.1",
        port: int | None = None,
    ):
        self.folder, self.address, self.port = folder, address, port or free_port(address)
        self.users, self.tokens, self._secure, self._client = dict(users or {}), tokens, bool(tls), client
        self.host = f"{address}:{self.port}"
        self.url = f"http{'s' if tls else ''}://{self.host}"
        folder.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "images")},
                "delete": {"enabled": True},
                "maintenance": {"readonly": {"enabled": readonly}, "uploadpurging": {"enabled": False}},
            },
            "http": {"addr": self.host, "secret": "lab"},
        }
        if tls:
            settings["http"]["tls"] = self._tls(tls, client_ca)
        if auth := self._auth():
            settings["auth"] = auth
        (folder / "registry.json").write_text(json.dumps(settings))  # JSON is YAML
        environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"}
        super().__init__(["docker-registry", "serve", str(folder / "registry.json")], environment, folder / "log")

    def start(self) -> None:
        super().start()
        try:
            wait_for_port(self.address, self.port, 20)
        except TimeoutError:
            self.stop()
            raise RuntimeError(f"the registry did not start:\n{self.log()}") from None

    def _tls(self, pair: tuple[str, str], client_ca: str) -> dict[str, Any]:
        for name, text in (("tls.pem", pair[0]), ("tls.key", pair[1]), ("clients.pem", client_ca)):
            (self.folder / name).write_text(text)
        more = {"clientcas": [str(self.folder / "clients.pem")]} if client_ca else {}
        return {"certificate": str(self.folder / "tls.pem"), "key": str(self.folder / "tls.key"), **more}

    def _auth(self) -> dict[str, Any]:
        if self.tokens:
            (self.folder / "tokens.pem").write_text(self.tokens.certificate)
            bundle = str(self.folder / "tokens.pem")
            return {
                "token": {"realm": self.tokens.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}
            }
        if not self.users:
            return {}
        lines = [
            f"{user}:{bcrypt.hashpw(word.encode(), bcrypt.gensalt(4)).decode()}" for user, word in self.users.items()
        ]
        (self.folder / "htpasswd").write_text("\n".join(lines) + "\n")
        return {"htpasswd": {"realm": "lab", "path": str(self.folder / "htpasswd")}}

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "", name: str = "", accept: str = "*/*"
    ) -> tuple[int, dict, bytes]:
        """Send a request with every right; `name`: the repository. Return (status, headers in lower case, body)."""
        url = path if "://" in path else self.url + path
        request = urllib.request.Request(url, body, {"Accept": accept}, method=method)
        if kind:
            request.add_header("Content-Type", kind)
        user = next(iter(self.tokens.users if self.tokens else self.users), "")
        if self.tokens:
            may, self.tokens.may = self.tokens.may, {user: {"pull", "push", "delete"}}
            request.add_header(
                "Authorization", "Bearer " + self.tokens.token(user, f"repository:{name}:pull,push,delete")
            )
            self.tokens.may = may
        elif user:
            login = base64.b64encode(f"{user}:{self.users[user]}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        handlers = [urllib.request.HTTPSHandler(context=self._context())] if self._secure else []
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)
        with opener.open(request, timeout=20) as answer:
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self._client:
            (self.folder / "client.pem").write_text("".join(self._client))
            context.load_cert_chain(self.folder / "client.pem")
        return context

    def push(
        self,
        name: str,
        tag: str = "latest",
        files: Mapping[str, bytes] | None = None,
        *,
        oci: bool = False,
        config: Mapping[str, Any] | None = None,
        architecture: str = "amd64",
    ) -> str:
        """Push an image of one layer with these files (each may be run), and return its digest.

        `config`: what an image says to an engine, such as {"Cmd": ["/bin/sh"]}. `tag` "": only its digest names it.
        """
        manifest_kind, config_kind, layer_kind, _ = _KINDS[oci]
        layer = _layer(files or {"hello": b"hello\n"})
        about = {
            "architecture": architecture,
            "os": "linux",
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer))]},
            "history": [{"created_by": "lab"}],
        }
        described = json.dumps(about).encode()
        parts = []
        for kind, blob in ((config_kind, described), (layer_kind, layer)):
            self._push_blob(name, blob)
            parts.append({"mediaType": kind, "size": len(blob), "digest": _digest(blob)})
        manifest = {"schemaVersion": 2, "mediaType": manifest_kind, "config": parts[0], "layers": parts[1:]}
        return self.push_manifest(name, tag, json.dumps(manifest).encode(), manifest_kind)

    def push_index(self, name: str, tag: str = "latest", *, oci: bool = True) -> str:
        """Push one image for amd64 and one for arm64 under one tag, and return the index's digest."""
        manifest_kind, *_, index_kind = _KINDS[oci]
        entries = []
        for architecture in ("amd64", "arm64"):
            digest = self.push(name, "", {"arch": architecture.encode()}, oci=oci, architecture=architecture)
            size = len(self.ask("GET", f"/v2/{name}/manifests/{digest}", name=name, accept=manifest_kind)[2])
            platform = {"os": "linux", "architecture": architecture}
            entries.append({"mediaType": manifest_kind, "digest": digest, "size": size, "platform": platform})
        index = {"schemaVersion": 2, "mediaType": index_kind, "manifests": entries}
        return self.push_manifest(name, tag, json.dumps(index).encode(), index_kind)

    def push_manifest(self, name: str, tag: str, manifest: bytes, kind: str) -> str:
        digest = _digest(manifest)
        self.ask("PUT", f"/v2/{name}/manifests/{tag or digest}", manifest, kind, name)
        return digest

    def _push_blob(self, name: str, blob: bytes) -> None:
        _, headers, _ = self.ask("POST", f"/v2/{name}/blobs/uploads/", b"", name=name)
        place = headers["location"]
        place += ("&" if "?" in place else "?") + f"digest={_digest(blob)}"
        self.ask("PUT", place, blob, "application/octet-stream", name)

    def uploads(self, name: str) -> list[str]:
        """Return the uploads of a repository that were begun and not ended: a deleted one leaves its folder."""
        folder = self.folder / "images/docker/registry/v2/repositories" / name / "_uploads"
        return sorted(path.parent.name for path in folder.glob("*/startedat"))


def _layer(files: Mapping[str, bytes]) -> bytes:
    """Return the files as a tar.gz, the same for the same files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, content in sorted(files.items()):
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(stream.getvalue(), mtime=0)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
