"""Pictures of what an autoregressive model has learned."""

from collections.abc import Iterator

from models.autoregressive.config import Config
from models.autoregressive.networks import Network
from models.data.dataset import Data
from models.env import Env
from models.events import Event


def introduce(net: Network) -> Iterator[Event]:
    """What the network looks at."""
    return iter(())


def report(net: Network, config: Config, data: Data, env: Env, step: int) -> Iterator[Event]:
    """All pictures of a finished model."""
    return iter(())
