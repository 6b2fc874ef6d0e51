"""The commands that carry a sweep to another folder or machine: ``sweep pack | unpack``."""

import shlex
from pathlib import Path

import click

from orchestrator.cli.options import TEXT, option, storage_option
from orchestrator.cli.sweeps import load_book, make_console, open_books, sweep_command
from orchestrator.errors import UserError
from orchestrator.search.options import SweepOptions


@sweep_command
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="The file to write.  [default: NAME.zip]"
)
def pack(name: str, output: Path | None, storage: str | None) -> None:
    """Write the sweep NAME to one file: trials, MLflow runs, pictures, files, checkpoints, champion. Nothing of it changes.

    `sweep unpack` makes a sweep of the file in another folder, on another machine or in other stores. Data sets stay.

    \b
    sweep pack ebm-digits-1 -o ebm.zip
    sweep unpack ebm.zip                     there, where the sweep is to go on
    """
    from orchestrator.search import trained
    from orchestrator.terminal import transfer as display
    from orchestrator.text import counted, program
    from orchestrator.transfer import pack as packing

    path = output or Path(f"{name}.zip")
    if path.is_dir() or not path.absolute().parent.is_dir():
        where = f"{path} is a folder" if path.is_dir() else f"there is no folder {path.absolute().parent}"
        raise UserError(f"-o {path}: {where}; name a file in a folder that is there")
    book, console = load_book(open_books(storage), name), make_console()
    with display.bar(console, f"packing {name}") as progress:
        packed = packing.pack(book, path, progress)
    if absent := trained.lacking(book):
        click.echo(f"note: {absent}, so nobody can go on with the copy or draw new images by it", err=True)
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    console.print(
        f"{name} is packed ({counted(packed.trials)}, {counted(packed.runs, 'run')}, {size}). Carry it on with:  "
        f"{program()} unpack {shlex.quote(str(path))}",
        highlight=False,
        soft_wrap=True,
    )


@click.command(short_help="Make a sweep of a file that `sweep pack` wrote.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", type=TEXT, metavar="NEW", help="Call it NEW.  [default: as it was called]")
@storage_option
@option(SweepOptions, "tracking_uri")
def unpack(file: Path, name: str | None, storage: str | None, tracking_uri: str | None) -> None:
    """Make a sweep of FILE, which `sweep pack` wrote, in this folder: it lists, shows, reports, samples and goes on.

    A file may hold a study of its packer's, which is a program: unpack files from people that you trust.

    \b
    sweep unpack ebm.zip
    sweep unpack ebm.zip --name ebm-copy     where the name is taken
    """
    from orchestrator.search import completion
    from orchestrator.terminal import transfer as display
    from orchestrator.text import program
    from orchestrator.transfer import unpack as unpacking

    console = make_console()
    with display.bar(console, f"unpacking {file.name}") as progress:
        book = unpacking.unpack(file, name, open_books(storage), tracking_uri, progress)
    name, ended = book.spec.name, completion.trials_ended(book) and not completion.is_closing(book)
    what = "Look at it with" if ended else "Go on with"
    console.print(
        f"{name} is here, {len(book.finished())} of {book.total()} trials finished. {what}:  "
        f"{program()} {'show' if ended else 'resume'} {name}",
        highlight=False,
        soft_wrap=True,
    )


COMMANDS: tuple[click.Command, ...] = (pack, unpack)
