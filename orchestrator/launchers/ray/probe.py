"""What a node has installed. Sent to nodes by its text, for a node may have another version of this package, or none."""

import hashlib
import importlib.util
import platform
import socket
from pathlib import Path

PACKAGES = ("orchestrator", "models", "samplers", "studies")


def look() -> dict[str, str]:
    """The machine's name, and the versions of Python, Ray and this package: of that a digest of its files, or ''."""
    import ray

    return {
        "node": socket.gethostname(),
        "Python": platform.python_version(),
        "Ray": ray.__version__,
        "package": package(),
    }


def package() -> str:
    """A digest of the files of this package; '' where it is not installed."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            return ""
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
