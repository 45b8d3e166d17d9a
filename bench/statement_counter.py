"""The web application with SQL statement counts in each response: X-Statements for the request, and
X-Statements-So-Far for the whole process, all threads included.

Outside the bench deployer.wsgi is used, without counts.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from django.db import connection
from django.db.backends.utils import CursorWrapper

from deployer.wsgi import application as product

_all = count()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    own = 0

    def counting(execute: Callable, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal own
        own += 1
        return execute(sql, params, many, context)

    def with_count(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        so_far = next(_all) - next(_reads)
        counts = [("X-Statements", str(own)), ("X-Statements-So-Far", str(so_far))]
        return start_response(status, [*headers, *counts], exc_info)

    with connection.execute_wrapper(counting):
        return product(environ, with_count)


_reads = count()  # each read of _all takes a number itself


def _counted(real: Callable) -> Callable:
    def execute(self: CursorWrapper, *args: Any, **kwargs: Any) -> Any:
        next(_all)
        return real(self, *args, **kwargs)

    return execute


CursorWrapper._execute = _counted(CursorWrapper._execute)  # type: ignore[attr-defined]
CursorWrapper._executemany = _counted(CursorWrapper._executemany)  # type: ignore[attr-defined]
