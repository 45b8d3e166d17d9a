"""The web process's application, which says in each answer how many statements the request took: X-Statements.

A request outside of the bench is answered by deployer.wsgi itself, which knows nothing of this.
"""
from django.db import connection

from deployer.wsgi import application as product


def application(environ, start_response):
    count = 0

    def counting(execute, sql, params, many, context):
        nonlocal count
        count += 1
        return execute(sql, params, many, context)

    def with_count(status, headers, exc_info=None):
        return start_response(status, [*headers, ("X-Statements", str(count))], exc_info)

    with connection.execute_wrapper(counting):
        return product(environ, with_count)
