"""Importing a module of ours changes nothing in the process but what the libraries change that it imports."""

import json
import pkgutil
import subprocess
import sys

from tests.support.paths import ROOT

OURS = ("samplers", "models", "studies", "orchestrator")

# Everything that an import could change and another part of the process would notice.
STATE = """
import atexit, importlib, json, logging, os, signal, sys, warnings

def state():
    import optuna
    from sqlalchemy import create_engine
    engine = create_engine("sqlite://")
    return {
        "listeners of a new engine": {
            f"{type(target).__name__} {name}": len(list(getattr(target.dispatch, name)))
            for target in (engine, engine.pool) for name in dir(target.dispatch) if not name.startswith("_")
        },
        "verbosity of optuna": optuna.logging.get_verbosity(),
        "environment": dict(os.environ),
        "filters of warnings": sorted(map(str, warnings.filters)),
        "levels of loggers": {
            name: logger.level for name, logger in sorted(logging.Logger.manager.loggerDict.items())
            if isinstance(logger, logging.Logger) and logger.level
        } | {"root": logging.root.level},
        "handlers of signals": {int(number): str(signal.getsignal(number)) for number in signal.valid_signals()},
        "calls at exit": atexit._ncallbacks(),
        "hooks": [str(sys.excepthook), str(sys.displayhook), sys.getrecursionlimit(), os.getcwd(), sys.path],
    }
"""
LIBRARIES = """
ours, tops = json.load(sys.stdin)
for name in ours:
    importlib.import_module(name)
print(json.dumps([name for name, module in sys.modules.items() if name.partition(".")[0] not in tops]))
"""
COMPARED = """
ours, libraries = json.load(sys.stdin)
for name in libraries:
    try:
        importlib.import_module(name)
    except Exception:
        pass  # a name that a library has put there, which is no module that can be found
before = state()
for name in ours:
    importlib.import_module(name)
    after = state()
    for what, value in after.items():
        if value != before[what]:
            print(f"importing {name} changes the {what}: {before[what]} -> {value}")
    before = after
"""


def modules() -> list[str]:
    """All of ours, without those that are run and not imported."""
    names = [module.name for package in OURS for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")]
    return [*OURS, *(name for name in names if not name.endswith("__main__"))]


def printed(code: str, *values: object) -> str:
    """What a fresh interpreter prints that is given ``values``."""
    command = [sys.executable, "-c", STATE + code]
    given = json.dumps(values)
    return subprocess.run(
        command, input=given, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=600
    ).stdout


def test_importing_a_module_changes_nothing_in_the_process() -> None:
    libraries = json.loads(printed(LIBRARIES, modules(), OURS))
    assert {"torch", "optuna", "mlflow", "sqlalchemy"} <= set(libraries)
    assert printed(COMPARED, modules(), libraries) == ""
