"""nginx with docs/production/nginx.conf: only its ports, paths and the server behind are replaced."""

import os
import shutil
import subprocess
from pathlib import Path

from .network import free_port, wait_for_port
from .worker import ROOT, Process

SHIPPED = ROOT / "docs" / "production" / "nginx.conf"
AROUND = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    {temporary}
    include {folder}/deployer.conf;
}}
"""


def binary() -> str:
    found = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        raise RuntimeError("nginx is not installed: scripts/test-packages installs it")
    return found


class Nginx(Process):
    """`with Nginx(folder, behind=8000) as nginx:` — `nginx.url` answers over TLS, `nginx.plain` without."""

    def __init__(self, folder: Path, behind: int, replace: dict[str, str] | None = None):
        self.folder, self.port, self.plain_port = folder, free_port(), free_port()
        self.url, self.plain = f"https://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.plain_port}"
        folder.mkdir()
        folder.chmod(0o755)
        self._make_certificate()
        text = SHIPPED.read_text()
        for old, new in {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{behind};",
            "/etc/ssl/deploy.example.com": str(folder / "tls"),
            "proxy_set_header Host $host;": "proxy_set_header Host $http_host;",  # has the free port in it
            **(replace or {}),
        }.items():
            assert old in text, f"the shipped file has no {old!r}"
            text = text.replace(old, new)
        (folder / "deployer.conf").write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n    ".join(f"{kind}_temp_path {folder}/{kind}_temp;" for kind in kinds)
        (folder / "nginx.conf").write_text(
            AROUND.format(folder=folder, temporary=temporary, user="" if os.getuid() else "user root;")
        )
        super().__init__(self.command_line(), {"PATH": "/usr/sbin:/usr/bin:/bin"}, folder / "out.log")

    def command_line(self) -> list[str]:
        return [
            binary(),
            "-p",
            str(self.folder),
            "-e",
            str(self.folder / "error.log"),
            "-c",
            str(self.folder / "nginx.conf"),
        ]

    def start(self) -> None:
        super().start()
        wait_for_port("127.0.0.1", self.port, 30)

    def tested(self) -> subprocess.CompletedProcess:
        return subprocess.run([*self.command_line(), "-t"], capture_output=True, text=True, timeout=60)

    def temporary_bytes(self) -> int:
        """Return the files in its folders for bodies and answers."""
        return sum(one.stat().st_size for one in self.folder.glob("*_temp/**/*") if one.is_file())

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=127.0.0.1",
                "-keyout",
                str(self.folder / "tls.key"),
                "-out",
                str(self.folder / "tls.pem"),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
