"""The commands that make something of a finished sweep: ``sweep report | sample``."""

from pathlib import Path

import click

from orchestrator import files
from orchestrator.cli.options import TEXT, Whole
from orchestrator.cli.sweeps import complete_sweep, complete_trial, load_book, make_console, open_books, sweep_command
from orchestrator.errors import UserError

OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


@sweep_command
@click.argument("trial", type=Whole(min=0), required=False, shell_complete=complete_trial)
@click.option("--n", type=Whole(1, 10_000), help="Images.  [default: 64]")
@click.option(
    "--traverse", is_flag=True, help="One image, a row for each dimension of its code, those that hold most first."
)
@click.option(
    "--fuse", type=TEXT, metavar="A,B", help="Images of class A fused with images of class B, by noise and by pixels."
)
@click.option("--transfer", type=TEXT, metavar="A,B", help="Images of class A moved towards class B.")
@click.option("--steps", type=Whole(1), help="From noise to image, by a diffusion model.  [default: the trial's]")
@click.option(
    "--guidance", type=click.FloatRange(0), help="Towards the class, if it knows classes.  [default: the trial's]"
)
@click.option(
    "--class", "label", type=TEXT, metavar="CLASS", help="Of all images, by name or number.  [default: each in turn]"
)
@click.option("-o", "--output", type=OUTPUT, metavar="FILE", help="A PNG file.  [default: NAME-TRIAL-samples.png]")
@click.option("--seed", type=click.INT, default=0, show_default=True, help="Others for every seed.")
@click.option("--device", type=TEXT, metavar="NAME", help="auto, cpu, cuda, cuda:1.  [default: auto]")
def sample(
    name: str,
    trial: int | None,
    n: int | None,
    traverse: bool,
    fuse: str | None,
    transfer: str | None,
    steps: int | None,
    guidance: float | None,
    label: str | None,
    output: Path | None,
    seed: int,
    device: str | None,
    storage: str | None,
) -> None:
    """Draw new images by a completed trial of the sweep NAME, the best one unless TRIAL says which, as one grid.

    \b
    sweep sample ebm-digits-1
    sweep sample ebm-digits-1 7 --n 100 --seed 3 -o grid.png
    sweep sample vae-digits-1 --traverse
    sweep sample flow-digits-1 --fuse 3,8
    sweep sample flow-digits-1 --transfer 4,9
    sweep sample diffusion-digits-1 --steps 50 --guidance 2 --class 7
    """
    given = {"steps": steps, "guidance": guidance, "label": label}
    changes = {setting: value for setting, value in given.items() if value is not None}
    if traverse and (n is not None or changes):
        raise UserError("--traverse shows every dimension of the code; leave out --n, --steps, --guidance and --class")
    edits = {way: classes for way, classes in {"fuse": fuse, "transfer": transfer}.items() if classes is not None}
    if edits and (len(edits) > 1 or traverse or n is not None or changes):
        raise UserError(
            "--fuse and --transfer edit real images, each alone; leave out the other, and --n, --traverse, --steps, --guidance "
            "and --class"
        )
    from orchestrator import devices
    from orchestrator.search import sampling

    book = load_book(open_books(storage), name)
    kind, number = next(iter(edits), "traversal" if traverse else "samples"), sampling.completed(book, trial).number
    path = _file(output or Path(f"{name}-{number}-{kind}.png"), ".png")
    place = devices.resolve(device or "auto", 1, 1).devices[0]
    if edits:
        drawn = sampling.edit(book, trial, kind, edits[kind], seed, place)
    elif traverse:
        drawn = sampling.traverse(book, trial, seed, place)
    else:
        drawn = sampling.draw(book, trial, n or 64, seed, place, changes)
    from orchestrator.figures import canvas, events

    files.write_output(path, canvas.png(events.grid(drawn.images)))
    made = "traversal of the code" if traverse else f"{len(drawn.images.images)} {'edited ' * bool(edits)}images"
    make_console().print(f"{made} by trial {number} of {name}: {path}", highlight=False, soft_wrap=True)


@sweep_command
@click.argument("other", required=False, shell_complete=complete_sweep)
@click.option("-o", "--output", type=OUTPUT, metavar="FILE", help="An HTML file.  [default: NAME.html]")
def report(name: str, other: str | None, output: Path | None, storage: str | None) -> None:
    """Write one HTML file about the sweep NAME, or about it and OTHER side by side: to read offline, to print, to pass on.

    \b
    sweep report ebm-digits-1
    sweep report ebm-digits-1 ebm-digits-2 -o two.html
    """
    books = open_books(storage)
    path = _file(output or Path(f"{name}-{other}.html" if other else f"{name}.html"), ".html")
    book = load_book(books, name)
    from orchestrator.reports import pair
    from orchestrator.reports import sweep as reports

    page = pair.write(book, load_book(books, other)) if other else reports.write(book)
    files.write_output(path, page.encode())
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    make_console().print(
        f"report of {name}{f' and {other}' if other else ''}: {path}, {size}", highlight=False, soft_wrap=True
    )


def _file(path: Path, suffix: str) -> Path:
    """A file that can be written; UserError where it cannot."""
    if path.suffix.lower() != suffix:
        raise UserError(f"{path}: what is written is a {suffix} file; name it so")
    return files.output(path)


COMMANDS: tuple[click.Command, ...] = (report, sample)
