"""A connection that is cut in the middle of a statement: the server has undone what was begun, so it is done once more."""

import time
from collections.abc import Callable, Iterator
from functools import wraps
from itertools import count
from typing import Any

from sqlalchemy.exc import DBAPIError

TIMES, PAUSE_SECONDS = 30, 0.1  # that it is done again; a server that is away is waited for where it is connected to


def was_cut(error: BaseException) -> bool:
    """Whether an error comes of a connection that broke while it was used."""
    return any(isinstance(link, DBAPIError) and link.connection_invalidated for link in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those before it. Optuna tries another query on a connection that broke, which fails for that reason."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def again(error: Exception, times: int) -> None:
    """Wait a moment where what raised ``error`` is to be done again; raises it where that does not help, or no longer."""
    if not was_cut(error) or times >= TIMES:
        raise error
    time.sleep(PAUSE_SECONDS)


def repeated(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method, which is called again where its connection was cut. It is one transaction, or may be done twice."""

    @wraps(method)
    def persistent(*arguments: Any, **more: Any) -> Any:
        for times in count(1):
            try:
                return method(*arguments, **more)
            except Exception as error:
                again(error, times)

    return persistent
