"""`python -m demo.sshserver FOLDER ADDRESS PORT`: a small SSH server on paramiko, for machines without sshd.

It does what OpenSSH does with `ssh host command`, and no more: one user, by key. Each command is run by `sh -c` in its
own session, its streams are copied both ways as they come, and it lives on when the connection is cut.
FOLDER holds host_key and authorized_keys, as for OpenSSH.
"""

import getpass
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import paramiko

CHUNK = 65536


class Server(paramiko.ServerInterface):
    """Accepts the keys in authorized_keys, and `exec` requests."""

    def __init__(self, keys: set[str], user: str):
        self._keys, self._user = keys, user

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == self._user and f"{key.get_name()} {key.get_base64()}" in self._keys
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_run, args=(channel, command), daemon=True).start()
        return True


def serve(folder: Path, address: str, port: int) -> None:
    """Accept connections until the process is ended."""
    key = paramiko.Ed25519Key(filename=str(folder / "host_key"))
    lines = (folder / "authorized_keys").read_text().splitlines()
    keys = {" ".join(line.split()[:2]) for line in lines if line.strip()}
    user = getpass.getuser()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(256)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_start, args=(connection, key, Server(keys, user)), daemon=True).start()


def _start(connection: socket.socket, key: paramiko.PKey, server: Server) -> None:
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    try:
        transport.start_server(server=server)
    except (paramiko.SSHException, EOFError, OSError):
        transport.close()


def _run(channel: paramiko.Channel, command: bytes) -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen(["sh", "-c", command], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    readers = [
        threading.Thread(target=_carry_out, args=(process.stdout, channel.sendall), daemon=True),
        threading.Thread(target=_carry_out, args=(process.stderr, channel.sendall_stderr), daemon=True),
    ]
    threading.Thread(target=_carry_in, args=(channel, process.stdin), daemon=True).start()
    for reader in readers:
        reader.start()
    status = process.wait()
    for reader in readers:
        reader.join(2)  # a service that kept the stream open does not keep the caller waiting
    try:
        channel.send_exit_status(status if status >= 0 else 128 - status)
        channel.close()
    except (paramiko.SSHException, EOFError, OSError):
        pass  # the client is gone


def _carry_out(pipe: IO[bytes], send: Callable[[bytes], object]) -> None:
    """Copy output to the caller. When the caller is gone, close the pipe, as sshd does."""
    with pipe:
        try:
            while data := os.read(pipe.fileno(), CHUNK):
                send(data)
        except (paramiko.SSHException, EOFError, OSError):
            pass


def _carry_in(channel: paramiko.Channel, pipe: IO[bytes]) -> None:
    """Copy input to the command. The caller's end of input, or a cut line, closes the pipe."""
    try:
        while data := channel.recv(CHUNK):
            pipe.write(data)
            pipe.flush()
    except (paramiko.SSHException, EOFError, OSError):
        pass
    try:
        pipe.close()
    except OSError:
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # a check that the port is open is not an error
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
