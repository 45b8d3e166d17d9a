"""Django's backend with our pool and connections."""

from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base

from .pool import Pool

_OURS = ("given", "pooler")  # of Connection.connect


class DatabaseWrapper(base.DatabaseWrapper):
    _connection_pools: dict[str, Pool]
    _configure_connection: Callable[[Any], bool]

    def get_connection_params(self) -> dict[str, Any]:
        """Return the parameters of psycopg's connect, without ours: the tests' maintenance database has no pool."""
        return {name: value for name, value in super().get_connection_params().items() if name not in _OURS}

    @property
    def pool(self) -> Pool | None:
        options = self.settings_dict["OPTIONS"]
        if self.alias == NO_DB_ALIAS or not options.get("pool"):
            return None
        if self.alias not in self._connection_pools:
            ours = {name: options[name] for name in _OURS if name in options}
            kwargs = {**self.get_connection_params(), **ours, "autocommit": True}
            new_pool = Pool(kwargs=kwargs, configure=self._configure_connection, **options["pool"])
            self._connection_pools.setdefault(self.alias, new_pool)  # of threads that race, the first one wins
        return self._connection_pools[self.alias]

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]
        if autocommit or not getattr(self.connection, "in_each_transaction", ""):
            return
        with self.wrap_database_errors:
            try:
                self.connection.begin_within_limits()
            except BaseException:
                self.connection.close()
                raise
