"""Compares two checkouts to the last bit by what every family's trainer yields on tiny trainings.

    python benchmarks/commits/trajectories.py CHECKOUT CHECKOUT [CASE …]

A checkout is a folder, or a JSON file that was recorded before: ``trajectories.py --record FILE CHECKOUT``. Prints a line for
each case, below it what differs, and exits 1 on any difference. A case takes two to five seconds of one core.

A trainer is reached through ``studies.load(NAME)``, ``study.config``, ``study.base(shape)`` and ``study.play(config, env)``
alone, so checkouts may be arranged in any way. For each case are compared:
  numbers      for each key of Scalars: how often, sha256 over the sequence of (step, value as float.hex()), first and last value.
               Keys that hold a time (seconds, time) are left out.
  checkpoints  of every 5th Checkpoint, [step, sha256 of all tensors in its state, of all numbers and strings in it, of the
               names under which they stand]
  images       for each key of Images: [step, sha256 of the images as float32]
  pictures     for each key of Curve, Matrix, Points: sha256 over all that they hold
  weights      sha256 of the tensors of Weights, by name
  facts        sha256 of Facts, without paths, and the order of the kinds of events

One thread, seed 0, CPU. Values are of this machine's processor and this torch: compare what was made on one machine.
``ebm_sampling`` runs chains on the network that the case ``ebm replay`` trained, in the same process.
"""

import argparse
import hashlib
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and scikit-learn
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

ENVS = ("models._env", "models.env")
LOADERS = ("studies", "studies.catalogue")
SHAPE = (1, 8, 8)  # of digits
EVERY = 5  # checkpoints

EBM = {"blocks": 1, "width": 4, "n_steps": 10, "evaluation_samples": 32, "evaluations": 2, "buffer_size": 100}
EBM |= {"network_evaluations": 288}
JEM = {
    "width": 4,
    "norm": "batch",
    "n_steps": 2,
    "pretrain_updates": 20,
    "least_accuracy": 0.0,
    "evaluation_samples": 32,
}
JEM |= {"evaluation_length": 1, "evaluations": 2, "buffer_size": 100, "network_evaluations": 80}
GAN = {"width": 2, "latent_size": 4, "evaluation_samples": 32, "evaluations": 2}
WGAN = GAN | {"network_evaluations": 120, "n_critic": 1, "long_phase": 2, "labels": "critic"}
DVAE = {
    "blocks": 0,
    "width": 8,
    "codebook_size": 16,
    "code_dimension": 4,
    "updates": 20,
    "evaluations": 2,
    "prior_updates": 10,
}
DVAE |= {"prior_width": 8, "evaluation_samples": 32, "k_most": 4, "initialisations": 2, "clustered_images": 60}
DVAE |= {"classifier_steps": 3, "classifier_seeds": 2, "tsne_images": 30}
SAMPLING = {"n_steps": 12, "samples": 16, "noise_start": 0.02}

TRAINED = "ebm replay"  # the network that chains of ebm_sampling are of
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ebm noise": ("ebm", EBM | {"start": "noise"}),
    TRAINED: ("ebm", EBM | {"start": "replay"}),
    "conditional_ebm head replay": ("conditional_ebm", EBM | {"label": "head", "start": "replay"}),
    "conditional_ebm modulation noise": ("conditional_ebm", EBM | {"label": "modulation", "start": "noise"}),
    "conditional_ebm channels noise": ("conditional_ebm", EBM | {"label": "channels", "start": "noise"}),
    "jem langevin noise": ("jem", JEM | {"sampler": "langevin", "start": "noise"}),
    "jem proximal mixture": ("jem", JEM | {"sampler": "proximal", "start": "mixture"}),
    "jem_weighted proximal mixture": ("jem_weighted", JEM | {"sampler": "proximal", "start": "mixture"}),
    "gan bce": ("gan", GAN | {"network_evaluations": 60, "straight_through": True, "loss": "bce"}),
    "gan hinge": ("gan", GAN | {"network_evaluations": 60, "loss": "hinge"}),
    "wgan wgan": ("wgan", WGAN | {"loss": "wgan"}),
    "wgan wgan_gp": ("wgan", WGAN | {"loss": "wgan_gp"}),
    "dvae ema": ("dvae", DVAE | {"quantiser": "ema"}),
    "dvae ema normalised": (
        "dvae",
        DVAE | {"quantiser": "ema", "normalise": True, "embedding": "none", "deformation": 0.1},
    ),
    "dvae gumbel": ("dvae", DVAE | {"quantiser": "gumbel", "embedding": "none"}),
    "ebm_sampling langevin": ("ebm_sampling", SAMPLING | {"sampler": "langevin"}),
    "ebm_sampling mala": ("ebm_sampling", SAMPLING | {"sampler": "mala"}),
    "ebm_sampling hmc": ("ebm_sampling", SAMPLING | {"sampler": "hmc"}),
    "ebm_sampling tempering": ("ebm_sampling", SAMPLING | {"sampler": "tempering"}),
    # each sampler once more inside a training
    "ebm preconditioned": ("ebm", EBM | {"start": "noise", "sampler": "preconditioned", "network_evaluations": 72}),
    "ebm underdamped": ("ebm", EBM | {"start": "noise", "sampler": "underdamped", "network_evaluations": 72}),
    "ebm coupled linear, likelihood": (
        "ebm",
        EBM
        | {"start": "noise", "schedule": "linear", "noise_end": 0.002, "coupled": True, "annealing_temperatures": 5}
        | {"network_evaluations": 72},
    ),
}


def _found(modules: tuple[str, ...], name: str) -> Any:
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ModuleNotFoundError, AttributeError):
            continue
    raise SystemExit(f"no {name} in {', '.join(modules)}; is PYTHONPATH the checkout?")


def tensor_digest(tensor: torch.Tensor) -> str:
    """Of kind, shape and bytes."""
    held = tensor.detach().cpu().contiguous()
    about = f"{held.dtype} {tuple(held.shape)} ".encode()
    return hashlib.sha256(about + held.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def plain(value: Any) -> str:
    """Any value that events and states hold, as text, to the last bit."""
    if isinstance(value, torch.Tensor):
        return tensor_digest(value)
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return repr(value)
    if hasattr(value, "items"):
        return "{" + ",".join(f"{key}:{plain(one)}" for key, one in value.items()) + "}"
    if isinstance(value, float) or hasattr(value, "__float__"):
        return float(value).hex()
    return "[" + ",".join(plain(one) for one in value) + "]"


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def leaves(state: Any, name: str = "") -> list[tuple[str, Any]]:
    if hasattr(state, "items"):
        return [leaf for key, one in state.items() for leaf in leaves(one, f"{name}/{key}")]
    if isinstance(state, list | tuple):
        return [leaf for key, one in enumerate(state) for leaf in leaves(one, f"{name}/{key}")]
    return [(name, state)]


def of_state(state: Any) -> list[str]:
    """Digests of the tensors, of everything else, and of the names."""
    found = leaves(state)
    tensors = sorted(tensor_digest(one) for _, one in found if isinstance(one, torch.Tensor))
    others = sorted(plain(one) for _, one in found if not isinstance(one, torch.Tensor))
    return [text_digest("\n".join(part)) for part in (tensors, others, sorted(name for name, _ in found))]


def timed(key: str) -> bool:
    return any(word in key for word in ("seconds", "time", "duration"))


def played(case: str, trained: Path, cache: Path) -> dict[str, Any]:
    """What the case says."""
    name, changes = CASES[case]
    study = _found(LOADERS, "load")(name)
    if study.model_of:
        changes = changes | {"model": str(trained)}
    config = study.config.model_validate(study.base(SHAPE).model_dump() | changes)
    env = _found(ENVS, "Env")("digits", seed=0, device="cpu", data_folder=trained.parent / "data", cache_folder=cache)
    torch.manual_seed(0)
    numbers: dict[str, list[tuple[int, str]]] = {}
    kept: dict[str, Any] = {"numbers": {}, "checkpoints": [], "images": {}, "pictures": {}, "weights": "", "facts": {}}
    course: list[str] = []
    pictures: dict[str, list[str]] = {}
    offers = 0
    events, answer = study.play(config, env), None
    while True:
        try:
            event = events.send(answer)
        except StopIteration:
            break
        answer, kind = None, type(event).__name__
        if kind != "Progress" and course[-1:] != [kind]:
            course.append(kind)
        if kind == "Compute":
            answer = event.function(event.rows)
        elif kind == "Scalars":
            for key, value in event.values.items():
                if not timed(key):
                    numbers.setdefault(key, []).append((event.step, float(value).hex()))
        elif kind == "Checkpoint":
            offers += 1
            if offers % EVERY == 0:
                kept["checkpoints"].append([event.step, *of_state(event.state())])
        elif kind == "Images":
            kept["images"].setdefault(event.key, []).append([event.step, tensor_digest(event.images.float())[:24]])
        elif kind in ("Curve", "Matrix", "Points"):
            pictures.setdefault(event.key, []).append(plain(vars(event)))
        elif kind == "Facts":
            for key, value in event.values.items():
                if key not in ("model",) and not timed(key):
                    kept["facts"][key] = text_digest(plain(value))
        elif kind == "DataUsed":
            kept["facts"]["data"] = text_digest(event.digest)
        elif kind == "Weights":
            kept["weights"] = text_digest(plain({key: event.state[key] for key in sorted(event.state)}))
            if case == TRAINED:
                trained.mkdir(parents=True)
                save_file({key: one.contiguous() for key, one in event.state.items()}, trained / "weights.safetensors")
                about = {"study": name, "config": config.model_dump(mode="json")}
                (trained / "model.json").write_text(json.dumps(about))
    for key, points in numbers.items():
        digest = text_digest("\n".join(f"{step} {value}" for step, value in points))
        kept["numbers"][key] = [len(points), digest, points[0][1], points[-1][1]]
    kept["pictures"] = {key: text_digest("\n".join(one)) for key, one in pictures.items()}
    kept["facts"]["course"] = text_digest(" ".join(course))
    return kept


def machine() -> dict[str, str]:
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    import numpy
    import sklearn

    return {
        "cpu": cpu or platform.processor(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "sklearn": sklearn.__version__,
    }


def record(cases: list[str]) -> dict[str, Any]:
    torch.set_num_threads(1)
    said: dict[str, Any] = {"machine": machine(), "cases": {}}
    import studies

    print(f"playing {Path(studies.__file__).parents[1]}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        trained, cache = Path(folder, "trained"), Path(folder, "cache")
        for case in CASES:
            wanted = case in cases
            needed = case == TRAINED and any(CASES[one][0] == "ebm_sampling" for one in cases)
            if not (wanted or needed):
                continue
            began = time.process_time()
            try:
                outcome = played(case, trained, cache)
            except Exception as error:  # an ending is a thing to compare as well
                outcome = {"raised": f"{type(error).__name__}: {error}".replace(folder, "FOLDER")}
            if wanted:
                said["cases"][case] = outcome
            print(
                f"{time.process_time() - began:6.1f} CPU s  {case}  {outcome.get('raised', '')}",
                file=sys.stderr,
                flush=True,
            )
    return said


def differences(was: Any, now: Any, where: str = "") -> list[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        return [
            line
            for key in sorted(was.keys() | now.keys())
            for line in (
                [f"{where}{key}: is new"]
                if key not in was
                else [f"{where}{key}: is gone"]
                if key not in now
                else differences(was[key], now[key], f"{where}{key}: ")
            )
        ]
    if was == now:
        return []
    if where.startswith("checkpoints"):
        at = [(a, b) for a, b in zip(was, now, strict=False) if a != b]
        what = [
            name
            for i, name in enumerate(("step", "tensors", "other values", "names"))
            if any(a[i] != b[i] for a, b in at)
        ]
        first = f"; {', '.join(what)} differ, first at step {at[0][0][0]}" if at else ""
        return [f"{where}{len(was)} then, {len(now)} now, {len(at)} differ{first}"]
    if where.startswith("numbers") and isinstance(was, list):
        a, b = ([float.fromhex(one) for one in points[2:]] for points in (was, now))
        return [f"{where}{was[0]} values from {a[0]!r} to {a[1]!r} then; {now[0]} from {b[0]!r} to {b[1]!r} now"]
    return [f"{where}{was} then, {now} now"]


def compared(was: dict[str, Any], now: dict[str, Any]) -> int:
    for key, value in was["machine"].items():
        if now["machine"].get(key) != value:
            print(f"another {key}: {value} then, {now['machine'].get(key)} now; differences may come of it")
    bad = 0
    for case in was["cases"]:
        if case not in now["cases"]:
            print(f"{case}: not played")
            bad += 1
            continue
        lines = differences(was["cases"][case], now["cases"][case])
        bad += bool(lines)
        print(f"{case}: {'the same' if not lines else f'{len(lines)} differ'}")
        for line in lines:
            print(f"    {line}")
    return bad


def recorded(side: str, cases: list[str]) -> dict[str, Any]:
    """What a checkout yields, in a process of its own; or what a file holds of it."""
    if Path(side).is_file():
        return dict(json.loads(Path(side).read_text()))
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        env = {**os.environ, "PYTHONPATH": str(Path(side).resolve()), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, __file__, "--here", file.name, *cases], env=env, check=True)
        return dict(json.loads(Path(file.name).read_text()))


def _write(path: str, found: object) -> None:
    """A file that a full disk leaves as it was."""
    part = Path(f"{path}.part")
    part.write_text(json.dumps(found, separators=(",", ":")) + "\n")
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", metavar="FILE", help="write what one checkout yields into FILE")
    parser.add_argument("--here", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", metavar="CHECKOUT … CASE …")
    options = parser.parse_args()
    sides = [] if options.here else options.words[: 1 if options.record else 2]
    cases = options.words[len(sides) :] or list(CASES)
    if unknown := set(cases) - CASES.keys():
        parser.error(f"no case {', '.join(unknown)}; there are: {', '.join(CASES)}")
    if options.here:
        Path(options.here).write_text(json.dumps(record(cases)))
    elif options.record:
        _write(options.record, recorded(sides[0], cases))
    elif len(sides) < 2:
        parser.error("name two checkouts, or a checkout and a file")
    else:
        first, second = (recorded(side, cases) for side in sides)
        first["cases"] = {case: first["cases"][case] for case in cases}
        raise SystemExit(1 if compared(first, second) else 0)


if __name__ == "__main__":
    main()
