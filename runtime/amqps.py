"""AMQP over TLS that verifies each of several servers by its own name."""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, pyamqp


class Transport(pyamqp.SSLTransport):
    """With `server_hostname` None in the TLS settings, the name of the connected server is verified.

    kombu writes the first server's name into the settings and would verify it for every server.
    """

    def establish_connection(self) -> Any:  # an amqp.Connection
        if self.client is not None and isinstance(self.client.ssl, dict):
            self.client.ssl = dict(self.client.ssl)
        return super().establish_connection()


def register() -> None:
    TRANSPORT_ALIASES["amqps"] = "runtime.amqps:Transport"
