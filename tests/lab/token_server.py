"""A token server for the lab's registry: GET /token?service=…&scope=… with Basic, as Docker describes the protocol.

`may` is what users may do ({"pull", "push"}), also anonymously ("": nobody signs in); `mode` may change at any time:

answer     a token, as `token` and as `access_token`
access     as `access_token` only
redirect   302 to `elsewhere`
hang       no answer before this server ends
"""

import base64
import datetime
import json
import ssl
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

SERVICE, ISSUER = "lab-registry", "lab-tokens"


class TokenServer:
    """`with TokenServer({"user": "word"}) as tokens:` — `tokens.realm`, and `tokens.certificate` for the registry."""

    def __init__(
        self,
        users: dict[str, str],
        *,
        address: str = "127.0.0.1",
        tls: tuple[str, str] | None = None,
        folder: Path | None = None,
    ):
        self.users, self.mode, self.elsewhere = users, "answer", ""
        self.may: dict[str, set[str]] = {user: {"pull", "push"} for user in users}
        self.only: dict[str, set[str]] = {}  # rights for single repositories, in place of `may`
        self.seen: list[tuple[str, dict[str, str]]] = []  # (path with query, headers)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._der, self.certificate = self._certificate()
        self._over = threading.Event()
        self._http = ThreadingHTTPServer((address, 0), _handler(self))
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None
        self.realm = f"http{'s' if tls else ''}://{address}:{self._http.server_port}/token"
        if tls and folder:
            (folder / "tokens.pem").write_text("".join(tls))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "tokens.pem")
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self) -> "TokenServer":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    def token(self, user: str, scope: str) -> str:
        """Return a signed token for what `user` may do of `scope` (repository:NAME:pull,push)."""
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        may = self.only.get(name, set()) if self.only else self.may.get(user, set())
        granted = sorted(set(actions.split(",")) & may)
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": now + 300,
            "nbf": now - 10,
            "iat": now,
            "jti": uuid.uuid4().hex,
            "access": [{"type": kind, "name": name, "actions": granted}] if scope else [],
        }
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self._der).decode()]}
        text = f"{_url64(json.dumps(head).encode())}.{_url64(json.dumps(claims).encode())}"
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_url64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def hang(self) -> None:
        self._over.wait(60)

    def user_of(self, header: str) -> str | None:
        """Return who signs in; "" for nobody, None where the password is wrong."""
        if not header:
            return ""
        user, _, word = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return user if self.users.get(user) == word else None

    def _certificate(self) -> tuple[bytes, str]:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, ISSUER)])
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = x509.CertificateBuilder(
            name, name, self._key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        one = builder.add_extension(x509.BasicConstraints(True, None), critical=True).sign(self._key, hashes.SHA256())
        return (
            one.public_bytes(serialization.Encoding.DER),
            one.public_bytes(serialization.Encoding.PEM).decode(),
        )


def _handler(server: TokenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.seen.append((self.path, dict(self.headers.items())))
            if server.mode == "hang":
                server.hang()
            elif server.mode == "redirect":
                self._answer(302, {}, {"Location": server.elsewhere})
            elif (user := server.user_of(self.headers.get("Authorization", ""))) is None:
                self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user or password"}]})
            else:
                scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
                token = server.token(user, scope)
                self._answer(200, {"access_token": token} if server.mode == "access" else {"token": token})

        def _answer(self, status: int, answer: dict, headers: dict[str, str] | None = None) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_) -> None:
            pass

    return Handler


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
