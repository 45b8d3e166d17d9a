"""Runs on a jump host: keeps copies of packages, and gives them to hosts behind it while its standard input is open.

Sent there as text, never imported here. Python 3.6 or newer and its standard library, nothing else. Before it come
three lines: NONCE, PORT and ADDRESS. It prints `@NONCE output` first, for a login shell may have printed something.
Requests on standard input, one answer on standard output for each:

    have SHA256 SIZE    there | busy COUNT (another worker's server has that much) | no REASON | send: it follows, as
    part COUNT          and COUNT bytes, again and again; a count of 0 ends it: there | no REASON (at once)

Its first answer is `ready TOKEN`, or `no REASON` and it ends. Hosts ask for `GET /TOKEN/SHA256`, with or without
an HTTP version (without: nothing but the bytes comes back).

Several workers may each have such a server here, on the same port: they share its folder, the token and who comes.
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

KEEP = 86400  # seconds that a copy stays after its last use
MOST = 4 << 30  # bytes of all copies together; one that is larger stays alone
SPARE = 64 << 20  # bytes of the disk that stay free
GUESTS = 64  # hosts at once; others wait to be let in
PATIENCE = 20.0  # seconds for a guest that takes nothing
REQUEST = 5.0  # seconds for a guest to say what it wants
FAREWELL = 60.0  # seconds for guests that are being served when standard input ends
PIECE = 1 << 18
SHA = re.compile(r"[0-9a-f]{64}\Z")


class No(Exception):
    """Why not, in words for people."""


def why(error):
    if error.errno == errno.ENOSPC:
        return "its disk is full"
    if error.errno == errno.EROFS:
        return "its disk is read-only"
    return (error.strerror or "it failed").lower()


def private(folder):
    """Makes a folder that is nobody else's; refuses one that is."""
    os.makedirs(folder, 0o700, exist_ok=True)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise No(f"{folder} belongs to somebody else")
    os.chmod(folder, 0o700)


def standing(path):
    """What is known of a file; None where another server has taken it away meanwhile."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def forget(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class Shelf:
    """The folder: copies by their sha256, the token, and a lock that every server holds."""

    def __init__(self, above, port):
        private(above)
        self.above, self.folder = above, os.path.join(above, str(port))
        private(self.folder)
        self.lock = os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.alone = True
        except BlockingIOError:
            self.alone = False
        self.sound = set()  # whose bytes were hashed by this very process
        self.token = b""

    def path(self, name):
        return os.path.join(self.folder, name)

    def share(self):
        """Who is alone makes a new token. All hold the lock from here on, so it stays as it is read now."""
        if self.alone:
            with open(self.path("token.new"), "w") as file:
                file.write(secrets.token_hex(32))
            os.rename(self.path("token.new"), self.path("token"))
            for name in os.listdir(self.folder):
                if name.endswith(".part"):
                    forget(self.path(name))
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        with open(self.path("token"), "rb") as file:
            self.token = file.read()

    def tidy(self, coming=0):
        """Takes away what nobody used for long, and the oldest where there is too much."""
        found = []
        for port in os.listdir(self.above):
            folder = os.path.join(self.above, port)
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                path = os.path.join(folder, name)
                state = standing(path) if SHA.match(name) else None
                if state:
                    found.append((state.st_mtime, state.st_size, path))
        found.sort()
        total = sum(size for _, size, _ in found)
        for used, size, path in found:
            if used < time.time() - KEEP or total + coming > MOST or (coming and self.free() < coming + SPARE):
                forget(path)
                total -= size

    def free(self):
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def holds(self, sha):
        """Whether the copy is there and whole; one that is not is taken away."""
        path = self.path(sha)
        try:
            if sha not in self.sound:
                with open(path, "rb") as file:
                    digest = hashlib.sha256()
                    for data in iter(lambda: file.read(PIECE), b""):
                        digest.update(data)
                if digest.hexdigest() != sha:
                    forget(path)
                    return False
                self.sound.add(sha)
            os.utime(path)
        except FileNotFoundError:  # never there, or another worker's server tidied
            self.sound.discard(sha)
            return False
        return True

    def begin(self, sha, size):
        """A file to take the package in; None while another server has one."""
        self.tidy(coming=size)
        if self.free() < size + SPARE:
            raise No(f"its disk has only {self.free() >> 20} MiB left")
        part = open(self.path(sha + ".part"), "ab")
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            part.close()
            return None
        # Whoever had it may have ended between our open and our lock: then it is a copy by now, and not to be touched.
        now = standing(part.name)
        if now is None or now.st_ino != os.fstat(part.fileno()).st_ino:
            part.close()
            return None
        part.truncate(0)
        return part

    def end(self, part, sha, digest):
        """By rename, and only if it is the package: whoever reads the name reads the whole."""
        if digest != sha:
            raise No("what arrived there is not the package")
        part.flush()
        os.rename(part.name, self.path(sha))
        self.sound.add(sha)


def listen(address, port, alone):
    """A socket on the address; on all of them, where this machine has no such address (behind NAT)."""
    family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0]
    try:
        return opened(family, place, alone)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise No(troubles(port, error))
    try:
        return opened(family, ("::" if family == socket.AF_INET6 else "0.0.0.0", port), alone)
    except OSError as error:
        raise No(troubles(port, error))


def troubles(port, error):
    if error.errno == errno.EADDRINUSE:
        return f"its port {port} is in use"
    return f"its port {port} cannot be opened: {why(error)}"


def opened(family, place, alone):
    if alone:  # somebody else's server on this port is not joined: its own guests would come to us
        bound(family, place, False).close()
    found = bound(family, place, True)
    found.listen(128)
    return found


def bound(family, where, shared):
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind(where)
    except OSError:
        found.close()
        raise
    return found


class Door:
    """Lets hosts in and gives them what they ask for, if they know the token."""

    def __init__(self, listener, shelf):
        self.listener, self.shelf = listener, shelf
        self.room = threading.Semaphore(GUESTS)
        self.closing, self.closed = threading.Event(), threading.Event()
        listener.settimeout(0.5)

    def run(self):
        tidied = time.time()
        while not self.closing.is_set():
            if time.time() - tidied > 3600:
                tidied = time.time()
                try:
                    self.shelf.tidy()
                except OSError:
                    pass  # tried again in an hour
            self.welcome()
        self.listener.settimeout(0)
        while self.welcome():  # who has connected already would be cut off
            pass
        self.listener.close()
        self.closed.set()

    def welcome(self):
        if not self.room.acquire(timeout=0.5):
            return False
        try:
            guest = self.listener.accept()[0]
        except OSError:
            self.room.release()
            return False
        threading.Thread(target=self.attend, args=(guest,), daemon=True).start()
        return True

    def attend(self, guest):
        try:
            with guest:
                self.give(guest)
        except OSError:
            pass  # it left; it knows by the hash what it has
        finally:
            self.room.release()

    def give(self, guest):
        asked = self.heard(guest)
        words = re.match(rb"GET /([0-9a-f]{1,64})/([0-9a-f]{64}|check)( HTTP/1\.[01])?\r?\n", asked)
        file = None
        if words and hmac.compare_digest(words.group(1), self.shelf.token):
            file = self.found(words.group(2).decode())
        guest.settimeout(PATIENCE)
        with_head = b" HTTP/" in asked
        if file is None:
            guest.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n" if with_head else b"")
            return
        with file:
            if with_head:
                guest.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % os.fstat(file.fileno()).st_size)
            guest.sendfile(file)

    def heard(self, guest):
        """The whole request: closing with some of it unread would reset the connection under the answer."""
        asked, end = b"", time.time() + REQUEST
        while len(asked) < 8192 and time.time() < end:
            guest.settimeout(max(0.1, end - time.time()))
            data = guest.recv(4096)
            asked += data
            first = asked.partition(b"\n")[0]
            if not data or b"\r\n\r\n" in asked or (b"\n" in asked and b" HTTP/" not in first):
                break
        return asked

    def found(self, name):
        if name == "check":
            return open(os.devnull, "rb")
        try:
            file = open(self.shelf.path(name), "rb")
            os.utime(file.fileno())
            return file
        except OSError:
            return None

    def close(self):
        """No more guests; those who are being served are waited for."""
        self.closing.set()
        end = time.time() + FAREWELL
        self.closed.wait(FAREWELL)
        for _ in range(GUESTS):
            if not self.room.acquire(timeout=max(0.0, end - time.time())):
                return


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def take_in(shelf, sha, size):
    """Answers a `have`, and takes the package in where it is not there."""
    part = None
    try:
        if shelf.holds(sha):
            return say("there")
        part = shelf.begin(sha, size)
    except No as reason:
        return say("no", reason)
    except OSError as error:
        return say("no", why(error))
    if part is None:
        state = standing(shelf.path(sha + ".part"))
        return say("busy", state.st_size if state else 0)
    say("send")
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
                    raise SystemExit  # its lock goes with us, and who comes next begins anew
                left -= len(data)
                if failed:
                    continue
                digest.update(data)
                try:
                    part.write(data)
                    part.flush()
                except OSError as error:
                    failed = why(error)
                    say("no", failed)
        if failed:
            forget(part.name)
            return None
        try:
            shelf.end(part, sha, digest.hexdigest())
        except (No, OSError) as error:
            forget(part.name)
            return say("no", error if isinstance(error, No) else why(error))
    return say("there")


def main(port, address):
    os.umask(0o077)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    try:
        shelf = Shelf(os.path.join(cache, "deployment-packages"), port)
        door = Door(listen(address, port, shelf.alone), shelf)
        shelf.share()
        shelf.tidy()
    except No as reason:
        return say("no", reason)
    except OSError as error:
        return say("no", f"its folder for packages in {cache}: {why(error)}")
    threading.Thread(target=door.run, daemon=True).start()
    say("ready", shelf.token.decode())
    try:
        for line in iter(lambda: sys.stdin.buffer.readline(256), b""):
            words = line.decode("ascii", "replace").split()
            if len(words) != 3 or words[0] != "have" or not SHA.match(words[1]) or not words[2].isdigit():
                break
            take_in(shelf, words[1], int(words[2]))
    finally:
        door.close()


if __name__ == "__main__":
    try:
        say("@" + sys.stdin.buffer.readline(80).decode("ascii").strip(), "output")
        main(int(sys.stdin.buffer.readline(64)), sys.stdin.buffer.readline(128).decode("ascii").strip())
    except (OSError, SystemExit):
        pass
    os._exit(0)  # guests' threads end with us
