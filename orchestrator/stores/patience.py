"""A database server that is away for minutes is waited for, as the tracker is: a sweep loses nothing by it but time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import Dialect

AWAY_SECONDS = 1800.0  # how long a server may be away
RETRY_SECONDS = 1.0


class Patience:
    """Connects until it succeeds, the time is up, or the sweep is to end."""

    def __init__(self, interrupted: Callable[[], str], say: Callable[[str], None]) -> None:
        self.interrupted, self.say = interrupted, say
        self.away_since: float | None = None

    def connect(self, dialect: Dialect, record: Any, arguments: list[Any], settings: dict[str, Any]) -> Any:
        """A listener of SQLAlchemy's "do_connect". Raises the driver's OperationalError where there is no more hope."""
        while True:
            try:
                connection = dialect.connect(*arguments, **settings)
            except dialect.loaded_dbapi.OperationalError as error:
                now = time.monotonic()
                if self.away_since is None:
                    self.away_since = now
                    self.say(f"the storage is away and is waited for: {str(error).strip().partition(chr(10))[0]}")
                if now - self.away_since > AWAY_SECONDS or self.interrupted():
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                if self.away_since is not None:
                    self.say("the storage is there again")
                self.away_since = None
                return connection


@contextmanager
def waiting(engine: Engine, interrupted: Callable[[], str], say: Callable[[str], None]) -> Iterator[None]:
    """Wait for the engine's server inside the block. A file is there or is not: it is not waited for."""
    if engine.dialect.name == "sqlite":
        yield
        return
    patience = Patience(interrupted, say)
    event.listen(engine, "do_connect", patience.connect)
    try:
        yield
    finally:
        event.remove(engine, "do_connect", patience.connect)
