"""Undo the changes to a model instance when a change is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.db.models import Model

from access.callers import Caller

Row = TypeVar("Row", bound=Model)
More = ParamSpec("More")
Result = TypeVar("Result")


@contextmanager
def rolled_back(row: Model) -> Iterator[None]:
    """Restore the fields of `row` where an exception ends the block, as a transaction does in the database.

    Otherwise the page with the refusal would show the refused values as if they were saved.
    """
    before = dict(row.__dict__)
    state = copy(row._state)
    state.fields_cache = dict(row._state.fields_cache)
    try:
        yield
    except BaseException:
        row.__dict__.clear()
        row.__dict__.update(before, _state=state)
        raise


def rolls_back(
    change: Callable[Concatenate[Caller, Row, More], Result],
) -> Callable[Concatenate[Caller, Row, More], Result]:
    """Do the same for a function `change(caller, row, …)` that sets fields before it may refuse."""

    @wraps(change)
    def guarded(caller: Caller, row: Row, *args: More.args, **kwargs: More.kwargs) -> Result:
        with rolled_back(row):
            return change(caller, row, *args, **kwargs)

    return guarded
