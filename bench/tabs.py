"""Tabs that watch a page as static/js/live.js does: a stream each, and the fragment after each event."""

import gzip
import http.client
import re
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

QUICK = 0.25  # seconds between two fetches of one tab
PAUSE = 3.0  # seconds until what a busy server refused is asked again
STREAM = re.compile(r'data-events="([^"]+)"')
LAST = re.compile(r'data-last="(\d+)"')


@dataclass
class Tab:
    """A browser tab with this session. `texts`: the fragments that it got, each with its time; `over`: why it ended."""

    url: str
    session: str
    page: str
    texts: list[tuple[float, str]] = field(default_factory=list)
    over: str = ""
    trouble: str = ""  # what had to be asked again last
    repeats: int = 0  # how often something had to be

    def __post_init__(self) -> None:
        self._end, self._ready, self._changed = threading.Event(), threading.Event(), threading.Event()
        self._seen = 0

    def open(self) -> None:
        for work in (self._watch, self._show):
            threading.Thread(target=work, daemon=True).start()

    def wait_until_open(self, seconds: float = 120) -> None:
        if not self._ready.wait(seconds) or self.over:
            raise RuntimeError(f"{self.page} is not watched: {self.over or self.trouble or 'no answer'}")

    def close(self) -> None:
        self._end.set()
        self._changed.set()

    def ask(self, path: str, **headers: str) -> http.client.HTTPResponse:
        """Send a request on a connection of its own."""
        return self._kept(path, self._connection(), headers)

    def _patiently(self, path: str, **headers: str) -> http.client.HTTPResponse:
        while (answer := self.ask(path, **headers)).status >= 500:
            answer.close()
            if self._pause(f"{path} was answered with {answer.status}"):
                break
        return answer

    def _pause(self, trouble: str) -> bool:
        """Wait before something is asked again. Return whether the tab was closed meanwhile."""
        self.trouble, self.repeats = trouble, self.repeats + 1
        return self._end.wait(PAUSE)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def _kept(self, path: str, connection: http.client.HTTPConnection, headers: dict) -> http.client.HTTPResponse:
        connection.request("GET", path, headers={"Cookie": f"sessionid={self.session}"} | headers)
        return connection.getresponse()

    def _watch(self) -> None:
        try:
            whole = self._patiently(self.page).read().decode()
            self._seen = int(LAST.findall(whole)[0])
            address = STREAM.findall(whole)[0]
            while not self._end.is_set():
                self._follow(f"{address}?last_event_id={self._seen}")
                self._changed.set()
                self._pause("the stream ended")  # a busy server gives its slot to others; a browser connects again
        except (OSError, http.client.HTTPException, IndexError) as error:
            self.over = f"{type(error).__name__}: {error}"
        self._ready.set()

    def _follow(self, address: str) -> None:
        stream = self._patiently(address, Accept="text/event-stream")
        if stream.status != 200:
            raise OSError(f"the stream was answered with {stream.status}")
        self._ready.set()
        for line in stream:
            if line.startswith(b"id: "):
                self._seen = int(line[4:])
                self._changed.set()
            if self._end.is_set():
                break
        stream.close()

    def _show(self) -> None:
        connection = self._connection()
        while self._changed.wait() and not self._end.is_set():
            self._changed.clear()
            query = urlencode({"rows": 20, "seen": self._seen})
            answer = self._kept(f"{self.page}?{query}", connection, {"HX-Request": "true", "Accept-Encoding": "gzip"})
            body = answer.read()
            if answer.status >= 500:
                self._changed.set()
                self._pause(f"the fragment was answered with {answer.status}")
                continue
            if answer.status != 200:
                self.over = f"the fragment was answered with {answer.status}"
                break
            packed = answer.headers.get("Content-Encoding") == "gzip"
            self.texts.append((time.monotonic(), (gzip.decompress(body) if packed else body).decode()))
            self._end.wait(QUICK)
        connection.close()
