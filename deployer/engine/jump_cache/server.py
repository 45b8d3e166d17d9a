"""Runs on a jump host: keeps copies of packages, and gives them to hosts behind it while its standard input is open.

Sent there as text in one piece, never imported here. It needs Python 3.6 or newer with its standard library alone.
Before it come three lines: NONCE, PORT and ADDRESS. It prints `@NONCE output` first, for a login shell may have printed
something.
Requests on standard input, one answer on standard output for each:

    have SHA256 SIZE    there | busy COUNT (another worker's server has that much) | no REASON | send: it follows, as
    part COUNT          and COUNT bytes, again and again; a count of 0 ends it: there | no REASON (at once)

Its first answer is `ready TOKEN`, or `no REASON` and it ends. Hosts ask for `GET /TOKEN/SHA256`, with or without
an HTTP version (without: nothing but the bytes comes back).

Several workers may each have such a server here, on the same port: they share its folder, the token and the clients.
"""

import errno
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import socket
import stat
import sys
import threading
import time
from typing import IO, Any, List, Optional, Set, Tuple

MAX_AGE = 86400  # seconds that a copy stays after its last use
MAX_BYTES = 4 << 30  # bytes of all copies together; one that is larger stays alone
MIN_FREE_BYTES = 64 << 20  # bytes of the disk that stay free
MAX_CLIENTS = 64  # hosts at once; others wait to be accepted
CLIENT_TIMEOUT = 20.0  # seconds for a client that takes nothing
REQUEST_TIMEOUT = 5.0  # seconds for a client to send its request
DRAIN_TIMEOUT = 60.0  # seconds for clients that are being served when standard input ends
PIECE = 1 << 18
SHA = re.compile(r"[0-9a-f]{64}\Z")
Address = Tuple[Any, ...]  # of a socket: two values for IPv4, four for IPv6


class Refused(Exception):
    """Why the server refuses, in words for people."""


def why(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "its disk is full"
    if error.errno == errno.EROFS:
        return "its disk is read-only"
    return (error.strerror or "it failed").lower()


def private(folder: str) -> None:
    """Create a folder of our own; refuse one of another user."""
    os.makedirs(folder, 0o700, exist_ok=True)
    state = os.lstat(folder)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
        raise Refused(f"{folder} belongs to another user")
    os.chmod(folder, 0o700)


def stat_or_none(path: str) -> Optional[os.stat_result]:
    """Return a file's status; None where another server has removed it meanwhile."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class CacheFolder:
    """The folder: copies by their sha256, the token, and a lock that every server holds."""

    def __init__(self, above: str, port: int) -> None:
        private(above)
        self.above, self.folder = above, os.path.join(above, str(port))
        private(self.folder)
        self.lock = os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.alone = True
        except BlockingIOError:
            self.alone = False
        self.sound: Set[str] = set()  # whose bytes were hashed by this very process
        self.token = b""

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def share(self) -> None:
        """Share the lock; first, a server that is alone makes a new token. From here on it stays as it is read now."""
        if self.alone:
            with open(self.path("token.new"), "w") as file:
                file.write(secrets.token_hex(32))
            os.rename(self.path("token.new"), self.path("token"))
            for name in os.listdir(self.folder):
                if name.endswith(".part"):
                    remove(self.path(name))
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        with open(self.path("token"), "rb") as file:
            self.token = file.read()

    def tidy(self, coming: int = 0) -> None:
        """Remove copies that were not used for long, and the oldest where there are too many bytes."""
        copies: List[Tuple[float, int, str]] = []
        for port in os.listdir(self.above):
            folder = os.path.join(self.above, port)
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                path = os.path.join(folder, name)
                state = stat_or_none(path) if SHA.match(name) else None
                if state:
                    copies.append((state.st_mtime, state.st_size, path))
        copies.sort()
        total = sum(size for _, size, _ in copies)
        for used, size, path in copies:
            if (
                used < time.time() - MAX_AGE
                or total + coming > MAX_BYTES
                or (coming and self.free() < coming + MIN_FREE_BYTES)
            ):
                remove(path)
                total -= size

    def free(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def holds(self, sha: str) -> bool:
        """Return whether the copy is there and whole; one that is not is taken away."""
        path = self.path(sha)
        try:
            if sha not in self.sound:
                with open(path, "rb") as file:
                    digest = hashlib.sha256()
                    for data in iter(lambda: file.read(PIECE), b""):
                        digest.update(data)
                if digest.hexdigest() != sha:
                    remove(path)
                    return False
                self.sound.add(sha)
            os.utime(path)
        except FileNotFoundError:  # never there, or another worker's server tidied
            self.sound.discard(sha)
            return False
        return True

    def begin(self, sha: str, size: int) -> Optional[IO[bytes]]:
        """Open a file to receive the package in; None while another server has one."""
        self.tidy(coming=size)
        if self.free() < size + MIN_FREE_BYTES:
            raise Refused(f"its disk has only {self.free() >> 20} MiB left")
        part = open(self.path(sha + ".part"), "ab")
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            part.close()
            return None
        # The server that had it may have finished between our open and our lock: then it is a copy, not to be touched.
        now = stat_or_none(part.name)
        if now is None or now.st_ino != os.fstat(part.fileno()).st_ino:
            part.close()
            return None
        part.truncate(0)
        return part

    def end(self, part: IO[bytes], sha: str, digest: str) -> None:
        """Publish it by rename, and only if it is the package: a reader of the name reads the whole."""
        if digest != sha:
            raise Refused("what arrived there is not the package")
        part.flush()
        os.rename(part.name, self.path(sha))
        self.sound.add(sha)


def listen(address: str, port: int, alone: bool) -> socket.socket:
    """Listen on the address; on all of them, where this machine has no such address (behind NAT)."""
    family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0]
    try:
        return open_listener(family, place, alone)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise Refused(bind_error(port, error))
    try:
        return open_listener(family, ("::" if family == socket.AF_INET6 else "0.0.0.0", port), alone)
    except OSError as error:
        raise Refused(bind_error(port, error))


def bind_error(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"its port {port} is in use"
    return f"its port {port} cannot be opened: {why(error)}"


def open_listener(family: int, place: Address, alone: bool) -> socket.socket:
    if alone:  # a foreign server on this port is not joined: its clients would come to us
        bind(family, place, False).close()
    listener = bind(family, place, True)
    listener.listen(128)
    return listener


def bind(family: int, where: Address, shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener


class HttpServer:
    """Accepts hosts and gives them what they request, if they know the token."""

    def __init__(self, listener: socket.socket, cache: CacheFolder) -> None:
        self.listener, self.cache = listener, cache
        self.room = threading.Semaphore(MAX_CLIENTS)
        self.closing, self.closed = threading.Event(), threading.Event()
        listener.settimeout(0.5)

    def run(self) -> None:
        tidied = time.time()
        while not self.closing.is_set():
            if time.time() - tidied > 3600:
                tidied = time.time()
                try:
                    self.cache.tidy()
                except OSError:
                    pass  # tried again in an hour
            self.accept()
        self.listener.settimeout(0)
        while self.accept():  # clients that have connected already would be cut off
            pass
        self.listener.close()
        self.closed.set()

    def accept(self) -> bool:
        if not self.room.acquire(timeout=0.5):
            return False
        try:
            client = self.listener.accept()[0]
        except OSError:
            self.room.release()
            return False
        threading.Thread(target=self.serve, args=(client,), daemon=True).start()
        return True

    def serve(self, client: socket.socket) -> None:
        try:
            with client:
                self.give(client)
        except OSError:
            pass  # the client left; it knows by the hash what it has
        finally:
            self.room.release()

    def give(self, client: socket.socket) -> None:
        request = self.read_request(client)
        words = re.match(rb"GET /([0-9a-f]{1,64})/([0-9a-f]{64}|check)( HTTP/1\.[01])?\r?\n", request)
        file = None
        if words and hmac.compare_digest(words.group(1), self.cache.token):
            file = self.open_copy(words.group(2).decode())
        client.settimeout(CLIENT_TIMEOUT)
        with_head = b" HTTP/" in request
        if file is None:
            client.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n" if with_head else b"")
            return
        with file:
            if with_head:
                client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % os.fstat(file.fileno()).st_size)
            client.sendfile(file)

    def read_request(self, client: socket.socket) -> bytes:
        """Read the whole request: closing with some of it unread would reset the connection under the response."""
        request, end = b"", time.time() + REQUEST_TIMEOUT
        while len(request) < 8192 and time.time() < end:
            client.settimeout(max(0.1, end - time.time()))
            data = client.recv(4096)
            request += data
            first = request.partition(b"\n")[0]
            if not data or b"\r\n\r\n" in request or (b"\n" in request and b" HTTP/" not in first):
                break
        return request

    def open_copy(self, name: str) -> Optional[IO[bytes]]:
        if name == "check":
            return open(os.devnull, "rb")
        try:
            file = open(self.cache.path(name), "rb")
            os.utime(file.fileno())
            return file
        except OSError:
            return None

    def close(self) -> None:
        """Accept no more clients, and wait for those that are being served."""
        self.closing.set()
        end = time.time() + DRAIN_TIMEOUT
        self.closed.wait(DRAIN_TIMEOUT)
        for _ in range(MAX_CLIENTS):
            if not self.room.acquire(timeout=max(0.0, end - time.time())):
                return


def answer(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def receive(cache: CacheFolder, sha: str, size: int) -> None:
    """Answer a `have`, and receive the package where it is not there."""
    part = None
    try:
        if cache.holds(sha):
            return answer("there")
        part = cache.begin(sha, size)
    except Refused as reason:
        return answer("no", reason)
    except OSError as error:
        return answer("no", why(error))
    if part is None:
        state = stat_or_none(cache.path(sha + ".part"))
        return answer("busy", state.st_size if state else 0)
    answer("send")
    failed, digest = "", hashlib.sha256()
    with part:
        while True:
            line = sys.stdin.buffer.readline(64).split()
            if len(line) != 2 or line[0] != b"part":
                raise SystemExit
            left = int(line[1])
            if not left:
                break
            while left:
                data = sys.stdin.buffer.read(min(left, PIECE))
                if not data:
                    raise SystemExit  # its lock goes with us, and the next server begins anew
                left -= len(data)
                if failed:
                    continue
                digest.update(data)
                try:
                    part.write(data)
                    part.flush()
                except OSError as error:
                    failed = why(error)
                    answer("no", failed)
        if failed:
            remove(part.name)
            return None
        try:
            cache.end(part, sha, digest.hexdigest())
        except (Refused, OSError) as error:
            remove(part.name)
            return answer("no", error if isinstance(error, Refused) else why(error))
    return answer("there")


def main(port: int, address: str) -> None:
    os.umask(0o077)
    parent = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    try:
        cache = CacheFolder(os.path.join(parent, "deployment-packages"), port)
        server = HttpServer(listen(address, port, cache.alone), cache)
        cache.share()
        cache.tidy()
    except Refused as reason:
        return answer("no", reason)
    except OSError as error:
        return answer("no", f"its folder for packages in {parent}: {why(error)}")
    threading.Thread(target=server.run, daemon=True).start()
    answer("ready", cache.token.decode())
    try:
        for line in iter(lambda: sys.stdin.buffer.readline(256), b""):
            words = line.decode("ascii", "replace").split()
            if len(words) != 3 or words[0] != "have" or not SHA.match(words[1]) or not words[2].isdigit():
                break
            receive(cache, words[1], int(words[2]))
    finally:
        server.close()


if __name__ == "__main__":
    try:
        answer("@" + sys.stdin.buffer.readline(80).decode("ascii").strip(), "output")
        main(int(sys.stdin.buffer.readline(64)), sys.stdin.buffer.readline(128).decode("ascii").strip())
    except (OSError, SystemExit):
        pass
    os._exit(0)  # clients' threads end with us
