"""What a broker or the network to it may do instead of answering."""

from microservice.models import Heartbeat
from tests.lab import faulty_proxy

ANSWERS = {
    "replica": b"-READONLY You can't write against a read only replica.\r\n",
    "full disk": b"-MISCONF Valkey is configured to save RDB snapshots, but it is unable to persist on disk.\r\n",
    "loading": b"-LOADING Valkey is loading the dataset in memory\r\n",
    "no password": b"-NOAUTH Authentication required.\r\n",
    "wrong password": b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    "full memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "another program": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "garbage": bytes(range(256)),
}
MODES = {**ANSWERS, "refused": faulty_proxy.REFUSE, "frozen": faulty_proxy.FREEZE, "lost": faulty_proxy.LOSE}


def listens() -> bool:
    return any(row.without_broker is None for row in Heartbeat.objects.all())
