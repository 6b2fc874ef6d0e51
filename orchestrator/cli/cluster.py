"""The command that prints what starts a cluster with a sweep on it: ``sweep cluster``."""

from collections.abc import Sequence

import click

from orchestrator.cli import run
from orchestrator.cli.options import TEXT, WHOLE, Number, Optional, Whole
from orchestrator.errors import UserError
from orchestrator.supervisor.options import MachineOptions


@click.command(short_help="Print a script that runs a sweep on SLURM, Kubernetes or ssh.")
@click.argument("kind", type=click.Choice(["slurm", "kubernetes", "ssh"]), metavar="slurm|kubernetes|ssh")
@click.argument("command", nargs=-1, metavar="-- run STUDY …")
@click.option("--name", default="sweep", metavar="NAME", help="Of the sweep and of the job.  [default: sweep]")
@click.option("--nodes", type=WHOLE, metavar="N", help="Machines.  [default: 2]")
@click.option("--cpus-per-node", type=WHOLE, metavar="N", help="Cores of each.  [default: 8]")
@click.option("--gpus-per-node", type=Optional(Whole(min=0)), metavar="N", help="GPUs of each.  [default: 0]")
@click.option(
    "--hours",
    type=Optional(Number(min=0, min_open=True, max=24 * 366)),
    metavar="N",
    help="Until the job ends.  [default: 24]",
)
@click.option("--partition", type=TEXT, metavar="NAME", help="SLURM's.  [default: the cluster's own]")
@click.option(
    "--setup", type=TEXT, metavar="COMMAND", help="What makes `sweep` known on a node: '. .venv/bin/activate'."
)
@click.option("--hosts", type=TEXT, metavar="A,B", help="With ssh: the machines besides this one.")
@click.option("--image", type=TEXT, metavar="IMAGE", help="With Kubernetes: one that has this package and Ray.")
def cluster(kind: str, command: tuple[str, ...], name: str, hosts: str | None, **given: object) -> None:
    """Print a script that starts a Ray cluster with a sweep on it, and ends it with the sweep. Nothing is started.

    The sweep's own command stands behind `--`. docs/cluster.md tells what the script needs, and what listens where.

    \b
    sweep cluster slurm --nodes 4 --gpus-per-node 2 --name mnist -- run ebm --data mnist --trials 100
    sweep cluster kubernetes --nodes 4 --image registry/sweeps:1 -- run ebm --trials 100
    sweep cluster ssh --hosts node1,node2 --setup '. .venv/bin/activate' -- run ebm --trials 100
    """
    from orchestrator.launchers.ray import batch

    values = {option: value for option, value in given.items() if value is not None}
    machines = tuple(host.strip() for host in (hosts or "").split(",") if host.strip())
    request = batch.Request(name=name, command=command, hosts=machines, **values)  # type: ignore[arg-type]
    batch.check(kind, request)
    _check(command, name)
    click.echo(getattr(batch, kind)(request), nl=False)


def _check(command: Sequence[str], name: str) -> None:
    """UserError for a sweep that could not begin, by its study, an option or a setting.

    Stores, trained networks and the user's own data may be where the cluster is, so they are not looked at.
    """
    import studies
    from models.data import kinds
    from orchestrator.search import plan
    from orchestrator.search.options import request
    from orchestrator.stores import optuna_storage
    from orchestrator.supervisor import machine
    from orchestrator.tracking import datasets_page
    from studies.parts.study import StudyError

    word, *arguments = command
    parsed = {"run": run.run, "compare": run.compare}[word].make_context(f"sweep {word}", arguments)
    values = {**parsed.params, "name": name}
    if values.pop("dry_run"):
        raise UserError("--dry-run prints a plan and starts nothing; leave it out behind --")
    values.pop("yes")
    machine.check_elsewhere({option: values.pop(option) for option in MachineOptions.__annotations__})
    whole = request(**values)
    try:
        study = studies.load(whole.study)
    except StudyError as error:
        raise UserError(str(error)) from None
    storage = optuna_storage.empty(optuna_storage.DEFAULT_STORAGE)
    for data in datasets_page.data_sets(whole.options["data"]):
        if data is not None and kinds.is_path(data):
            data = study.data
        if not study.model_of:
            plan.resolve(whole.with_data(data or study.data, name), storage, read=False)


COMMANDS: tuple[click.Command, ...] = (cluster,)
