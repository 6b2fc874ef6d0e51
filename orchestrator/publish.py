"""What a sweep's own record shows: description, figures, the best trials' samples side by side, and the champion."""

import numpy as np
from optuna.trial import TrialState
from PIL import Image

from orchestrator import figures, figures_sweep, figures_tradeoff
from orchestrator.agenda import run_of, trial_folder
from orchestrator.book import Book
from orchestrator.outbox import Outbox
from orchestrator.spec import Spec
from orchestrator.tables import short
from orchestrator.tracker import MlflowStore
from orchestrator.trial import SAMPLES, WEIGHTS

SHOWN = 6  # of the best trials
CHAMPION = "champion"  # what is kept with the sweep of the model that was registered


def params(spec: Spec) -> dict[str, str]:
    """The sweep's parameters in its record. Prefixed: `mlflow run` has written its own -P values there, unprefixed."""
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
    lines += [f"Went on although it had changed after {drift.before} trials: {drift.what}.\n" for drift in spec.drifts]
    lines.append(f"Go on with more trials: `sweep resume {spec.name} --trials {book.total() * 2}`")
    return "\n".join(lines)


def finish(book: Book, outbox: Outbox) -> None:
    """Put the figures and the best samples into the sweep's record."""
    spec = book.spec
    for name, picture in figures_sweep.sweep_figures(book.study, spec.objectives[0][0]).items():
        outbox.content(f"figures/{name}.png", figures.png(picture))
    for name, drawn in _trade_offs(book).items():
        outbox.content(f"figures/{name}.png", figures.png(drawn))
    shown = []
    for trial in book.best(SHOWN):
        path = trial_folder(spec.folder, trial.number) / SAMPLES
        if path.exists():
            title = f"trial {trial.number} · {spec.objectives[0][0]} {trial.values[0]:.4g}"
            shown.append((title, np.asarray(Image.open(path).convert("RGB"))))
    if shown:
        outbox.content("best_samples.png", figures.png(figures.beside(shown, columns=min(3, len(shown)))))


def _trade_offs(book: Book) -> dict[str, figures.Drawing]:
    """The figures of a study that has two objectives, or that says over which settings it wants to be seen."""
    goals, trials = book.spec.objectives, book.trials(TrialState.COMPLETE)
    signs = [1 if direction == "minimize" else -1 for _, direction in goals]
    found: dict[str, figures.Drawing | None] = {}
    if len(goals) == 2:
        keys = (goals[0][0], goals[1][0])
        found["trade_off"] = figures_tradeoff.trade_off(trials, keys, (signs[0], signs[1]))
    if book.search.heat_map is not None:
        found["heat_map"] = figures_tradeoff.heat_map(trials, goals[0][0], signs[0], book.search.heat_map)
    return {name: picture for name, picture in found.items() if picture is not None}


def champion(book: Book, store: MlflowStore) -> str:
    """The best trial's network as a model of the registry, named as the sweep; its address, or '' where there is none.

    It is crowned once: a sweep whose best trial is the champion already keeps it.
    """
    from safetensors.torch import load_file

    best = book.best()
    if not best or book.search.restore is None:
        return ""
    spec, folder = book.spec, trial_folder(book.spec.folder, best[0].number)
    run = run_of(spec, best[0])
    if not run or not (folder / WEIGHTS).exists():
        return ""
    crowned = book.notes().get(CHAMPION)
    if crowned is not None and crowned["run"] == run:
        return str(crowned["address"])
    network = book.search.restore(book.config(best[0]), spec.image_shape)
    network.load_state_dict(load_file(folder / WEIGHTS))
    tags = {"trial": str(best[0].number), spec.objectives[0][0]: f"{best[0].values[0]:.6g}", "data": spec.data}
    address = store.champion(run, network, spec.image_shape, spec.name, tags)
    book.note(CHAMPION, {"run": run, "address": address})
    return address
