"""torchvision can be imported beside a torch that it was not built for, and is left alone where it was."""

import subprocess
import sys

from tests.support.processes import LIMIT

USES = """
import torch
from models.data.torchvision_fix import declare_missing_operators
declare_missing_operators()
declare_missing_operators()
import torchvision.datasets
import torchvision.transforms.v2 as transforms
from torchvision.utils import make_grid
declare_missing_operators()
assert make_grid(torch.zeros(4, 1, 8, 8), nrow=2, padding=1).shape == (3, 19, 19)
assert transforms.Resize(4)(torch.zeros(1, 8, 8)).shape == (1, 4, 4)
assert len(torchvision.datasets.FakeData(3)) == 3
print("usable")
"""

WHOLE = """
import torch
torch.ops.load_library = lambda path: None  # the extension loads
from models.data.torchvision_fix import declare_missing_operators
declare_missing_operators()
print("declared" if hasattr(torch.ops.torchvision, "nms") else "left alone")
"""

BROKEN = """
import torch
def load_library(path):
    raise OSError("libc10_cuda.so: cannot open shared object file")
torch.ops.load_library = load_library
from models.data.torchvision_fix import declare_missing_operators
declare_missing_operators()
print("declared" if hasattr(torch.ops.torchvision, "nms") else "left alone")
"""


def printed(script: str) -> str:
    """What a fresh process prints: declarations last as long as the process."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_is_usable_once_mended() -> None:
    assert printed(USES) == "usable"


def test_nothing_is_declared_where_the_extension_loads() -> None:
    assert printed(WHOLE) == "left alone"  # a second declaration would abort the process


def test_operators_are_declared_where_the_extension_does_not_load() -> None:
    assert printed(BROKEN) == "declared"
