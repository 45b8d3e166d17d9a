"""A refused change leaves no trace in the object that it was tried on."""

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
    """What is set on `row` inside is taken back where an exception ends it, as a transaction does with the database.

    Else the page that shows the refusal would show what was refused as if it were saved.
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
    """The same for a whole function `change(caller, row, …)`: every one that sets fields before it may refuse."""

    @wraps(change)
    def guarded(caller: Caller, row: Row, *args: More.args, **kwargs: More.kwargs) -> Result:
        with rolled_back(row):
            return change(caller, row, *args, **kwargs)

    return guarded
