"""What a sweep's own record shows: description, figures, the best trials' samples side by side, and the champion."""

import numpy as np
from PIL import Image

from orchestrator import figures
from orchestrator.book import Book
from orchestrator.sweep import trial_folder
from orchestrator.tables import short
from orchestrator.tracking import Run, Tracker
from orchestrator.trial import SAMPLES, WEIGHTS

SHOWN = 6  # of the best trials


def params(book: Book) -> dict[str, str]:
    """The sweep's parameters in its record. Prefixed: `mlflow run` has written its own -P values there, unprefixed."""
    spec = book.spec
    plain = {
        "study": spec.study,
        "data": spec.data,
        "data digest": spec.data_digest[:12],
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        "seed": spec.seed,
        "version": spec.version,
    }
    base = {f"base/{key}": value for key, value in spec.base.items() if key not in spec.space}
    return {f"sweep/{key}": str(value) for key, value in plain.items()} | {k: str(v) for k, v in base.items()}


def description(book: Book, ending: str) -> str:
    """The sweep in Markdown: the question, the command, where it stands, the best trials and how to go on."""
    spec = book.spec
    key, direction = spec.objectives[0]
    done = book.finished()
    outcomes: dict[str, int] = {}
    for trial in done:
        outcome = trial.user_attrs.get("outcome", "failed")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    lines = [
        f"**{spec.question}**",
        "",
        f"`{spec.command}`",
        "",
        f"{len(done)} of {book.total()} trials finished"
        + (f": {counted}." if counted else ".")
        + (f" {ending}" if ending else ""),
        "",
    ]
    best = book.best(SHOWN)
    if best:
        names = [name for name in spec.space if any(name in trial.params for trial in best)]
        lines += [
            f"Best trials by `{key}` ({'lower' if direction == 'minimize' else 'higher'} is better):",
            "",
            f"| trial | {key} | " + " | ".join(names) + " |",
            "|" + "---|" * (len(names) + 2),
        ]
        for trial in best:
            cells = [short(trial.params[name]) if name in trial.params else "" for name in names]
            lines.append(f"| {trial.number} | {trial.values[0]:.4g} | " + " | ".join(cells) + " |")
        lines.append("")
    lines.append(f"Go on with more trials: `sweep resume {spec.name} --trials {book.total() * 2}`")
    return "\n".join(lines)


def finish(book: Book, run: Run, tracker: Tracker) -> str | None:
    """Put the figures, the best samples and the champion into the sweep's record; returns the champion's address, if any."""
    spec = book.spec
    for name, picture in figures.sweep_figures(book.study, spec.objectives[0][0]).items():
        run.picture(f"figures/{name}.png", picture)
    best = book.best(SHOWN)
    shown = []
    for trial in best:
        path = trial_folder(spec.folder, trial.number) / SAMPLES
        if path.exists():
            title = f"trial {trial.number} · {spec.objectives[0][0]} {trial.values[0]:.4g}"
            shown.append((title, np.asarray(Image.open(path).convert("RGB"))))
    if shown:
        run.picture("best_samples.png", figures.beside(shown, columns=min(3, len(shown))))
    return _champion(book, tracker) if best else None


def _champion(book: Book, tracker: Tracker) -> str | None:
    """The best trial's network as a model of the registry, named as the sweep."""
    from safetensors.torch import load_file

    spec, best = book.spec, book.best()[0]
    path = trial_folder(spec.folder, best.number) / WEIGHTS
    if book.search.restore is None or not path.exists():
        return None
    config = book.search.config.model_validate(spec.base | best.params)
    network = book.search.restore(config, spec.image_shape)
    network.load_state_dict(load_file(path))
    tags = {"trial": str(best.number), spec.objectives[0][0]: f"{best.values[0]:.6g}", "data": spec.data}
    return tracker.resume(best.user_attrs["run"]).champion(network, spec.image_shape, spec.name, tags)
