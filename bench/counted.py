"""The web process's application, which says in each answer how many statements the request took: X-Statements; and how
many the whole process has sent so far, in whatever thread: X-Statements-So-Far.

A request outside of the bench is answered by deployer.wsgi itself, which knows nothing of this.
"""

from itertools import count

from django.db import connection
from django.db.backends.utils import CursorWrapper

from deployer.wsgi import application as product

_all = count()


def application(environ, start_response):
    own = 0

    def counting(execute, sql, params, many, context):
        nonlocal own
        own += 1
        return execute(sql, params, many, context)

    def with_count(status, headers, exc_info=None):
        so_far = next(_all) - next(_asked)
        told = [("X-Statements", str(own)), ("X-Statements-So-Far", str(so_far))]
        return start_response(status, [*headers, *told], exc_info)

    with connection.execute_wrapper(counting):
        return product(environ, with_count)


_asked = count()  # each look at _all takes a number itself


def _counted(real):
    def execute(self, *args, **kwargs):
        next(_all)
        return real(self, *args, **kwargs)

    return execute


CursorWrapper._execute = _counted(CursorWrapper._execute)  # type: ignore[method-assign]
CursorWrapper._executemany = _counted(CursorWrapper._executemany)  # type: ignore[method-assign]
