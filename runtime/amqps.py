"""AMQP over TLS, where each of several servers is verified by its own name."""

from kombu.transport import TRANSPORT_ALIASES, pyamqp


class Transport(pyamqp.SSLTransport):
    """`server_hostname` None in the settings of TLS: the name of whichever server is spoken to.

    kombu writes the first server's name into the settings themselves, and would look for it in every certificate.
    """

    def establish_connection(self):
        if self.client is not None and isinstance(self.client.ssl, dict):
            self.client.ssl = dict(self.client.ssl)
        return super().establish_connection()


def register() -> None:
    TRANSPORT_ALIASES["amqps"] = "runtime.amqps:Transport"
