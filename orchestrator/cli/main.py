"""The command `sweep`: its commands are in ``run``, ``browse``, ``manage``, ``report``, ``transfer`` and ``cluster``.

Heavy imports are made inside the commands.
"""

import click

from orchestrator.cli import browse, cluster, manage, report, run, transfer
from orchestrator.cli.options import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="generative-sweeps", prog_name="sweep")
def main() -> None:
    """Search the settings of deep generative models; every trial is tracked in MLflow.

    \b
    sweep studies                            what can be asked, and what is searched
    sweep run ebm --trials 12                search, and name the sweep ebm-digits-1
    sweep compare ebm --vary start=noise,replay     settings against each other, over seeds
    sweep show ebm-digits-1 --watch          its trials in a table, from any terminal
    sweep show ebm-digits-1 7                one trial whole, with its samples
    sweep report ebm-digits-1                what was found, as one HTML file
    sweep sample ebm-digits-1 --n 64         new images by its best trial
    sweep resume ebm-digits-1 --trials 24    go on to 24 trials in all
    sweep stop ebm-digits-1                  end it; pause, extend, skip and enqueue steer it
    sweep pack ebm-digits-1 -o ebm.zip       carry it to another folder or machine, where you `sweep unpack` it
    sweep cluster slurm -- run ebm           print a script that runs a sweep on many machines
    sweep ui                                 look at losses, samples and curves

    \b
    Names are completed by the Tab key after one of these, kept in the shell's own start file:
      bash   eval "$(_SWEEP_COMPLETE=bash_source sweep)"
      zsh    eval "$(_SWEEP_COMPLETE=zsh_source sweep)"
      fish   _SWEEP_COMPLETE=fish_source sweep | source
    """


for command in (
    *run.COMMANDS,
    *browse.COMMANDS,
    *manage.COMMANDS,
    *report.COMMANDS,
    *transfer.COMMANDS,
    *cluster.COMMANDS,
):
    main.add_command(command)
