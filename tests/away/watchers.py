"""Clients during an outage: browsers and pipelines that send requests all the time, and one that follows events."""

import http.client
import http.cookiejar
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PASSWORD = "a-long-passphrase-of-ann"
AT_ONCE = 4


def get(url: str, token: str, body: object = None, timeout: float = 60) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def signed_in(url: str) -> urllib.request.OpenerDirector:
    """Return an opener with the cookies of a browser that has signed in."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    page = opener.open(f"{url}/login/", timeout=60).read().decode()
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page
    form = {"csrfmiddlewaretoken": found[1], "username": "ann", "password": PASSWORD, "next": "/"}
    request = urllib.request.Request(f"{url}/login/", urllib.parse.urlencode(form).encode(), {"Referer": url})
    opener.open(request, timeout=60)
    return opener


class Pages:
    """Pages and API, asked for by several at once. What came is in `seen`: (when it came, status, its text); when each
    of those who ask was last answered well, in `answered`."""

    def __init__(self, url: str, token: str):
        self.url, self.token = url, token
        self.seen: list[tuple[float, int, str]] = []
        self.answered = dict.fromkeys(range(AT_ONCE), 0.0)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> "Pages":
        browser = signed_in(self.url)
        for number in range(AT_ONCE):
            ask = self._page(browser) if number % 2 else self._api
            self._threads.append(threading.Thread(target=self._run, args=(number, ask), daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()

    def _api(self) -> tuple[int, str]:
        return get(f"{self.url}/api/v1/hosts/", self.token)

    def _page(self, browser):
        def ask() -> tuple[int, str]:
            try:
                with browser.open(f"{self.url}/hosts/", timeout=60) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        return ask

    def _run(self, number: int, ask) -> None:
        while not self._over.wait(0.2):
            try:
                status, text = ask()
            except (OSError, http.client.HTTPException) as error:
                status, text = 0, repr(error)
            now = time.monotonic()
            if status == 200:
                self.answered[number] = now
            self.seen.append((now, status, text))

    def last_failure(self) -> float:
        """When a request last got another answer than expected (0.0: never)."""
        return max((at for at, status, _ in list(self.seen) if status != 200), default=0.0)

    def statuses(self) -> set[int]:
        return {status for _, status, _ in list(self.seen)}


class Stream:
    """One that follows the live events as a browser does: it comes again when it was cut off."""

    def __init__(self, url: str, token: str):
        self.url, self.token = url, token
        self.heard: list[float] = []
        self._over = threading.Event()

    def __enter__(self) -> "Stream":
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()

    @property
    def count(self) -> int:
        return len(self.heard)

    def first_after(self, moment: float) -> float:
        return next(at for at in self.heard if at > moment)

    def _run(self) -> None:
        host = urllib.parse.urlsplit(self.url)
        while not self._over.is_set():
            line = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
            try:
                line.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {self.token}"})
                answer = line.getresponse()
                while answer.status == 200 and (text := answer.readline()) and not self._over.is_set():
                    if text.startswith(b"id:"):
                        self.heard.append(time.monotonic())
            except (OSError, http.client.HTTPException):
                pass
            finally:
                line.close()
            self._over.wait(2)
