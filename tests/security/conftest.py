"""Secrets for the tests to plant."""

import base64
import secrets

import pytest


@pytest.fixture
def planted():
    """Return `planted("what")`, which makes a secret unlike any other text; `.forms` are its possible spellings."""

    class Planted(dict):
        def __call__(self, what: str) -> str:
            self[what] = "canary" + secrets.token_hex(12)
            return self[what]

        def forms(self) -> dict[str, bytes]:
            found = {}
            for what, text in self.items():
                found[what] = text.encode()
                for shift in range(3):  # base64 of it, wherever in a longer text it began
                    coded = base64.b64encode(b"x" * shift + text.encode())
                    found[f"{what}, in base64"] = coded[4:-4]
                    found[f"{what}, in base64 after {shift}"] = coded[4:-4]
            return found

    return Planted()
