"""git's own HTTP server behind a user and a password, for tests, with the batch API of Git LFS beside it."""

import base64
import hashlib
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class GitHttp:
    """`with GitHttp(folder, "ci", "word") as server:` serves the repository in `folder` at `server.url`.

    `requests`: the credentials of each request, "" for none. `redirect`: another server's address to send them to.
    `objects`: what Git LFS keeps, {hash: bytes}; `lfs` stores a file and returns the pointer that stands for it.
    """

    def __init__(self, folder: Path, username: str, password: str, redirect: str = ""):
        self.requests: list[str] = []
        self.objects: dict[str, bytes] = {}
        objects = self.objects
        wanted = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                given = self.headers.get("Authorization", "")
                requests.append(given)
                if redirect:
                    self.send_response(302)
                    self.send_header("Location", redirect + self.path)
                    self.end_headers()
                elif given != wanted:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self._serve()

            do_POST = do_GET

            def _batch(self, body):
                """git-lfs.github.com/spec: docs/api/batch.md and docs/api/basic-transfers.md."""
                batch = []
                for one in json.loads(body)["objects"]:
                    there = one["oid"] in objects
                    address = f"http://{self.headers['Host']}/lfs-objects/{one['oid']}"
                    batch.append(
                        {**one, "authenticated": False}
                        | (
                            {"actions": {"download": {"href": address}}}
                            if there
                            else {"error": {"code": 404, "message": "Object does not exist"}}
                        )
                    )
                self._answer(
                    json.dumps({"transfer": "basic", "objects": batch}).encode(), "application/vnd.git-lfs+json"
                )

            def _answer(self, body, kind="application/octet-stream", status=200):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _serve(self):
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if path.endswith("/info/lfs/objects/batch"):
                    self._batch(body)
                elif path.startswith("/lfs-objects/"):
                    self._answer(objects[path.rpartition("/")[2]])
                elif "/info/lfs/" in path:
                    self._answer(b"{}", "application/vnd.git-lfs+json", 404)
                else:
                    self._git(path, query, body)

            def _git(self, path, query, body):
                environment = {
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "REMOTE_USER": username,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "GIT_CONFIG_COUNT": "1",
                    "GIT_CONFIG_KEY_0": "safe.directory",
                    "GIT_CONFIG_VALUE_0": "*",
                }
                done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True)
                head, _, answer = done.stdout.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
                self.send_response(int(headers.pop("Status", "200").split()[0]))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def lfs(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        self.objects[name] = data
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize {len(data)}\n"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
