"""A map of names to secrets as one field: names are readable without a key, values only with one.

It is stored as JSON, {"NAME": [token, changed]}: each value is encrypted separately, so that one can be set, removed or
rotated without decrypting the others. "" is the empty map.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression

from access.secrets import Secret, decrypt, encrypt


class SealedMap:
    """Names with encrypted values. Immutable. Its printed form has only the names."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, tuple[str, str]] | None = None):
        self._entries = dict(sorted((entries or {}).items()))

    @classmethod
    def parse(cls, stored: str) -> "SealedMap":
        if not stored:
            return _EMPTY
        return cls({name: (token, changed) for name, (token, changed) in json.loads(stored).items()})

    def stored(self) -> str:
        return json.dumps(self._entries) if self._entries else ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SealedMap) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(self.stored())

    def __str__(self) -> str:
        return " ".join(f"{name}=•••" for name in self._entries)

    def __repr__(self) -> str:
        return f"SealedMap({self})"

    def changed(self) -> dict[str, datetime]:
        """Return when each was last set."""
        return {name: datetime.fromisoformat(changed) for name, (_, changed) in self._entries.items()}

    def value(self, name: str) -> Secret:
        """Decrypt one value. Raise Undecryptable."""
        return decrypt(self._entries[name][0])

    def open(self) -> dict[str, Secret]:
        """Decrypt every value. Raise Undecryptable."""
        return {name: decrypt(token) for name, (token, _) in self._entries.items()}

    def after(self, changes: Mapping[str, str | None], moment: datetime) -> "SealedMap":
        """Return the map with these values set, those that are None removed, and all others kept."""
        kept = {name: entry for name, entry in self._entries.items() if name not in changes}
        fresh = {name: (encrypt(text), moment.isoformat()) for name, text in changes.items() if text is not None}
        return SealedMap(kept | fresh)

    def rotated(self) -> "SealedMap":
        """Return the same map encrypted under the newest key. Raise Undecryptable."""
        return SealedMap(
            {name: (encrypt(decrypt(token).reveal()), changed) for name, (token, changed) in self._entries.items()}
        )


_EMPTY = SealedMap()


if TYPE_CHECKING:  # at run time, fields are not generic
    _Text = models.TextField[SealedMap | str, SealedMap]
else:
    _Text = models.TextField


class SealedMapField(_Text):
    """A `SealedMap`. It cannot be searched."""

    def from_db_value(self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper) -> SealedMap:
        return SealedMap.parse(value or "")

    def get_prep_value(self, value: SealedMap | str) -> str:
        return value.stored() if isinstance(value, SealedMap) else value

    def to_python(self, value: SealedMap | str | None) -> SealedMap:
        return value if isinstance(value, SealedMap) else SealedMap.parse(value or "")

    def value_to_string(self, obj: models.Model) -> str:
        return self.value_from_object(obj).stored()
