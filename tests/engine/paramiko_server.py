"""An SSH server of paramiko's with freely chosen algorithm lists, as OpenSSH's cannot have them."""

import socket
import threading

import paramiko

from deployer.engine.ssh import Endpoint, algorithms


class AcceptAll(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        def answer():
            channel.sendall(b"z" * 50_000)
            channel.send_exit_status(0)
            channel.close()

        threading.Thread(target=answer, daemon=True).start()
        return True


class Odd:
    """A server whose lists are set. `logins`: which signatures it takes, and whether it `says` so."""

    def __init__(self, logins=algorithms.LEGACY.keys, says=True, **preferred):
        self.key = algorithms.OldRSAKey(key=paramiko.RSAKey.generate(2048).key)
        self._preferred, self._logins, self._says = preferred, logins, says

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        while True:
            try:
                transport = self._transport(self._listener.accept()[0])
                transport.add_server_key(self.key)
                transport.start_server(threading.Event(), AcceptAll())
            except OSError:
                return

    def _transport(self, sock):
        class Never(paramiko.PKey):
            name = "never"

            def __init__(self, message):
                pass

            def verify_ssh_sig(self, data, msg):
                return False

        class Transport(paramiko.Transport):
            _kex_info = algorithms.KEX
            _key_info = algorithms.KEYS

            @property
            def preferred_pubkeys(self):  # what it says, and afterwards what it looks at, as OpenSSH does
                return super().preferred_pubkeys if not self.initial_kex_done else tuple(algorithms.KEYS)

        transport = Transport(sock, server_sig_algs=self._says)
        transport._key_info = {name: kind if name in self._logins else Never for name, kind in algorithms.KEYS.items()}
        transport._preferred_pubkeys = self._logins
        for name, value in self._preferred.items():
            setattr(transport, f"_preferred_{name}", value)
        return transport

    def endpoint(self, host_key: str = "", **other) -> Endpoint:
        pinned = host_key or f"ssh-rsa {self.key.get_base64()}"
        return Endpoint("127.0.0.1", self._listener.getsockname()[1], "deploy", pinned, **other)
