"""The options that decide a sweep: those of `sweep run` and `sweep compare` that are kept with it.

A new option is one entry here. ``Request.options`` has it by its name, and ``Spec.options`` keeps it when it was given.
"""

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, TypedDict, cast

from typing_extensions import Unpack

from orchestrator import options
from orchestrator.options import Option, Pairs
from orchestrator.search.capabilities import DEFAULT_PRUNER, PRUNERS, SAMPLERS, listed
from orchestrator.text import program

TRIALS_AT_MOST = 1_000_000  # of a sweep: more is a mistake


class SearchOptions(TypedDict, total=False):
    """Of `sweep run` alone."""

    trials: Annotated[
        int | None,
        Option(
            "Total number of trials.",
            metavar="N",
            default_text="set by the study, often 12",
            minimum=1,
            maximum=TRIALS_AT_MOST,
        ),
    ]
    fix: Annotated[
        Pairs, Option("Hold a searched parameter at a value. Repeatable.", metavar="PARAM=VALUE", default=())
    ]
    sampler: Annotated[
        str,
        Option(
            f"{listed([*SAMPLERS])}: see the table below.",
            metavar="NAME",
            default="tpe",
            choices=tuple(SAMPLERS),
        ),
    ]
    pruner: Annotated[
        str,
        Option(
            f"{listed([*PRUNERS])}: see the table below.",
            metavar="NAME",
            default=DEFAULT_PRUNER,
            choices=tuple(PRUNERS),
        ),
    ]


class Variation(TypedDict, total=False):
    """What `sweep compare` compares."""

    vary: Annotated[
        Pairs,
        Option(
            "A setting and the values to compare. Repeatable: every combination is tried.",
            metavar="SETTING=VALUE,VALUE",
            default=(),
            several=r"\s+",
            many=True,
            required=True,
        ),
    ]


class ComparisonOptions(TypedDict, total=False):
    """Of `sweep compare` alone, beside Variation."""

    arm: Annotated[
        Pairs,
        Option(
            "One more arm beside the combinations, by its settings. Repeatable; a setting that it does not name is the "
            "recipe's.",
            metavar="SETTING=VALUE,SETTING=VALUE",
            default=(),
            several=r"\s+",
        ),
    ]
    seeds: Annotated[
        int,
        Option("Trials of each combination, each with another seed.", metavar="N", default=5, minimum=1, maximum=1000),
    ]
    race: Annotated[
        bool, Option("Drop a combination as soon as it is significantly worse than the best.", default=False)
    ]


class SweepOptions(TypedDict, total=False):
    """Of `sweep run` and `sweep compare`."""

    name: Annotated[
        str | None,
        Option(
            "Name of the sweep. An unfinished sweep of this name continues.",
            metavar="NAME",
            default_text="STUDY-DATA-n",
        ),
    ]
    data: Annotated[
        str | None,
        Option(
            "digits, persian, mnist, fashion_mnist, cifar10, folder:PATH, npz:FILE, hoda:FOLDER, or halved:NAME "
            "for any of them at half the size. Separate several with commas: each gets a sweep.",
            metavar="NAME",
            default_text="set by the study",
        ),
    ]
    model: Annotated[
        str | None,
        Option(
            "The trained network that the study begins with, if it needs one: champion, SWEEP, SWEEP/TRIAL or the id of an "
            "MLflow run.",
            metavar="NAME",
        ),
    ]
    data_folder: Annotated[
        str, Option("Folder for downloads.", metavar="PATH", default="data", environment="SWEEP_DATA")
    ]
    set: Annotated[
        Pairs,
        Option(
            "Change a setting, or hold a searched parameter at any value. Repeatable; separate pairs with commas.",
            metavar="SETTING=VALUE",
            default=(),
        ),
    ]
    seed: Annotated[int, Option("Seed of the search and of every trial.", metavar="N", default=0)]
    storage: Annotated[
        str | None,
        Option(
            "Optuna storage, any SQLAlchemy address.",
            metavar="URL",
            default_text="$SWEEP_STORAGE or sqlite:///sweeps.db",
        ),
    ]
    tracking_uri: Annotated[
        str | None,
        Option(
            "MLflow store or server.",
            metavar="URI",
            default_text="$MLFLOW_TRACKING_URI or sqlite:///mlflow.db",
        ),
    ]
    checkpoints: Annotated[
        str | None,
        Option(
            "Where checkpoints are kept: a folder that several machines see, s3://BUCKET/PATH or gs://BUCKET/PATH.",
            metavar="URL",
            default_text="the sweep's folder",
        ),
    ]
    deterministic: Annotated[
        bool,
        Option("Give the same trials for any number of workers: the sampler works in batches.", default=False),
    ]


class ResumeOptions(TypedDict, total=False):
    """What `sweep resume` changes of a sweep."""

    trials: Annotated[
        int | None,
        Option("A new total.", metavar="N", default_text="the one that it has", minimum=1, maximum=TRIALS_AT_MOST),
    ]
    sampler: Annotated[
        str | None,
        Option(
            f"Another sampler for the trials to come: {listed([*SAMPLERS])}.",
            metavar="NAME",
            default_text="the one that it has",
            choices=tuple(SAMPLERS),
        ),
    ]
    pruner: Annotated[
        str | None,
        Option(
            f"Another pruner from now on: {listed([*PRUNERS])}.",
            metavar="NAME",
            default_text="the one that it has",
            choices=tuple(PRUNERS),
        ),
    ]
    tracking_uri: Annotated[
        str | None,
        Option(
            "Where MLflow is now, with the runs of the sweep, if its server or file has moved.",
            metavar="URI",
            default_text="where it was",
        ),
    ]
    accept_drift: Annotated[
        bool,
        Option(
            "Continue although the study or the data have changed since. The sweep keeps a note of it.", default=False
        ),
    ]


class AllOptions(SearchOptions, Variation, ComparisonOptions, SweepOptions, total=False):
    """Of either command."""


@dataclass(frozen=True)
class Request:
    """What `sweep run` or `sweep compare` was asked for: see ``request``."""

    study: str  # a name, or a Python file
    given: dict[str, Any]
    command: str  # asks for the same in a terminal

    @cached_property
    def options(self) -> AllOptions:
        """All options, those that were not given with their defaults."""
        return cast(AllOptions, options.complete(options.read(AllOptions), self.given))

    def with_data(self, data: str | None, name: str | None) -> "Request":
        """The same on other data, by another name."""
        changes = {"data": data, "name": name}
        return replace(self, given=self.given | {key: value for key, value in changes.items() if value is not None})


def request(study: str, **values: Unpack[AllOptions]) -> Request:
    """A sweep of a study; None stands for an option that was not given. UserError for a value that cannot be."""
    table, study = options.read(AllOptions), options.argument("study", study, str)
    given = options.given(table, values, "a sweep")
    arguments = [word for name, value in given.items() for word in table[name].arguments(value)]
    command = "compare" if "vary" in given else "run"
    return Request(study, given, f"{program()} {shlex.join([command, study, *arguments])}")
