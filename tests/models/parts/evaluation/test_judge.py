"""The judge learns once, knows what it should, comes back from the cache as it was, and disturbs nothing."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from models.data import dataset as data
from models.data.dataset import Data
from models.events import Event, Progress
from models.parts.evaluation import judge, metrics
from models.parts.evaluation.judge import Judge, Network
from models.parts.training import cache
from tests.support.paths import REAL_DATA as REAL
from tests.support.playing import finished
from tests.support.processes import LIMIT


class Trained(NamedTuple):
    judge: Judge
    data: Data
    cache: Path


def obtain(of: Data, folder: Path) -> Judge:
    return cache.at_once(judge.obtain(of, folder, "cpu"))


def random_state() -> tuple[bytes, str, object]:
    return torch.get_rng_state().numpy().tobytes(), repr(np.random.get_state()), random.getstate()


@pytest.fixture(scope="module")
def trained(cache_folder: Path) -> Trained:
    """A judge of digits, trained in full: the session's."""
    digits = data.load("digits", cache_folder)
    return Trained(obtain(digits, cache_folder), digits, cache_folder)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that ends after a few steps, where only its manners matter."""
    monkeypatch.setattr(judge, "TRAINING", {1: (20, 32), 3: (20, 32)})


@pytest.fixture
def digits(tmp_path: Path) -> Data:
    return data.load("digits", tmp_path)


@pytest.fixture(autouse=True)
def global_randomness_stays() -> Iterator[None]:
    before = random_state()
    yield
    assert random_state() == before


def test_it_knows_the_digits(trained: Trained) -> None:
    assert trained.judge.accuracy >= 0.98
    unseen = trained.judge.predict(trained.data.test.floats()).argmax(1) == trained.data.test.labels
    assert unseen.float().mean() >= 0.97
    assert (trained.judge.n_train, trained.judge.n_validation) == (1079, 359)


def test_training_says_how_far_it_is(digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "TRAINING", {1: (150, 16)})
    heard = list(judge.obtain(digits, tmp_path, "cpu"))
    assert heard == [Progress("judge", done, 150) for done in range(0, 160, 10)]


def test_confusion_counts_each_image_once(trained: Trained) -> None:
    counts = trained.judge.confusion(trained.data)
    assert counts.shape == (10, 10)
    assert counts.sum(1).tolist() == torch.bincount(trained.data.validation.labels).tolist()
    assert float(counts.trace() / counts.sum()) == pytest.approx(trained.judge.accuracy)
    answers = trained.judge.predict(trained.data.validation.floats()).argmax(1)
    wrong = answers != trained.data.validation.labels
    expected = torch.zeros(10, 10, dtype=torch.int64)
    for true, answer in zip(trained.data.validation.labels[wrong], answers[wrong], strict=True):
        expected[true, answer] += 1
    assert torch.equal(counts - counts.diag().diag(), expected)


def test_an_image_is_judged_alike_alone_and_in_any_batch(trained: Trained) -> None:
    images = trained.data.train.floats()  # more than two batches
    features, answers = trained.judge.features(images), trained.judge.predict(images)
    assert features.shape == (1079, 64) and features.dtype == torch.float32
    assert answers.shape == (1079, 10)
    assert torch.allclose(answers.sum(1), torch.ones(1079), atol=1e-5) and bool((answers >= 0).all())
    for index in (0, 511, 512, 1078):
        assert torch.allclose(trained.judge.features(images[index : index + 1])[0], features[index], atol=1e-4)
        assert torch.allclose(trained.judge.predict(images[index : index + 1])[0], answers[index], atol=1e-4)
    assert trained.judge.features(images[:0]).shape == (0, 64)


def test_judging_leaves_no_trace(trained: Trained) -> None:
    images = trained.data.train.floats()[:8].requires_grad_()
    before = {name: weight.clone() for name, weight in trained.judge.network.state_dict().items()}
    assert not trained.judge.features(images).requires_grad
    assert not trained.judge.predict(images).requires_grad
    assert torch.is_grad_enabled()
    after = trained.judge.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(weight.requires_grad for weight in trained.judge.network.parameters())


def test_features_of_real_images_are_of_unit_size(trained: Trained) -> None:
    features = trained.judge.features(trained.data.validation.floats())
    assert features.mean(0).abs().max() < 0.5
    assert 0.6 < features.std(0).min() and features.std(0).max() < 1.6


def test_fid_tells_real_from_blurred_from_noise(trained: Trained) -> None:
    reference = trained.judge.features(trained.data.validation.floats())
    images = trained.data.train.floats()[:256]

    def fid(some: Tensor) -> float:
        return metrics.fid(reference, trained.judge.features(some))

    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    real, mixed, blurred = (
        fid(images),
        fid(images.lerp(noise, 0.5)),
        fid(torch.nn.functional.avg_pool2d(images, 3, 1, 1)),
    )
    one_class = fid(trained.data.train.floats(trained.data.train.labels == 3))
    assert real < 2
    assert 5 * real < min(mixed, blurred, one_class)
    assert 20 * real < fid(noise)
    assert mixed < fid(noise)


def test_it_comes_back_from_the_cache_as_it_was(trained: Trained) -> None:
    said: list[Event] = []
    again: Judge = finished(judge.obtain(trained.data, trained.cache, "cpu"), said.append)
    assert said == [Progress("judge", 0, judge.TRAINING[1][0])], "it does not train again"
    assert (again.digest, again.accuracy) == (trained.judge.digest, trained.judge.accuracy)
    assert (again.n_train, again.n_validation) == (trained.judge.n_train, trained.judge.n_validation)
    images = trained.data.test.floats()
    assert torch.equal(again.features(images), trained.judge.features(images))
    assert not again.network.training


@pytest.mark.usefixtures("hasty")
def test_the_cache_is_named_after_data_and_version_and_says_what_it_holds(digits: Data, tmp_path: Path) -> None:
    found = obtain(digits, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("judge-*.safetensors")
    assert path.name == f"judge-{judge.VERSION}-{digits.digest[:16]}.safetensors"
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["judge"])
    assert about == {"digest": found.digest, "accuracy": found.accuracy}
    assert {file.suffix for file in path.parent.iterdir()} <= {".safetensors", ".lock"}  # nothing is left half done


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "weight", "foreign"])
def test_a_damaged_cache_is_made_anew(damage: str, digits: Data, tmp_path: Path) -> None:
    first = obtain(digits, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("judge-*.safetensors")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-100] ^= 64  # the file still reads, with another weight
    if damage == "foreign":
        obtain(held(digits, 8), tmp_path / "other")
        (other,) = (tmp_path / "other").glob("judge-*.safetensors")
    contents = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"not a network",
        "weight": bytes(flipped),
        "foreign": other.read_bytes() if damage == "foreign" else b"",  # whole, but for eight classes
    }
    path.write_bytes(contents[damage])
    if damage == "weight":
        assert load_file(path)  # readable: only the digest can tell
    said: list[Event] = []
    second: Judge = finished(judge.obtain(digits, tmp_path / "cache", "cpu"), said.append)
    assert said == [Progress("judge", done, 20) for done in (0, 10, 20)]
    assert second.digest == first.digest
    assert path.read_bytes() == whole


def held(found: Data, n_classes: int) -> Data:
    """The data set without its later classes."""

    def kept(split: data.Split) -> data.Split:
        some = split.labels < n_classes
        return data.Split(split.images[some], split.labels[some])

    train, validation, test = kept(found.train), kept(found.validation), kept(found.test)
    return Data(found.name, found.source, train, validation, test, found.classes[:n_classes], found.digest[::-1])


@pytest.mark.usefixtures("hasty")
def test_training_depends_on_the_data_alone(digits: Data, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    try:
        torch.manual_seed(1)
        first = obtain(digits, tmp_path / "a")
        torch.manual_seed(2)
        with torch.no_grad():  # whatever the caller has open
            second = obtain(digits, tmp_path / "b")
    finally:
        torch.set_rng_state(state)
    assert first.digest == second.digest
    other = Data("other", "", digits.train, digits.validation, digits.test, digits.classes, digits.digest[::-1])
    assert obtain(other, tmp_path / "a").digest != first.digest


OBTAIN = """
import sys
from pathlib import Path
from models.data import dataset
from models.parts.evaluation import judge
from models.parts.training import cache
judge.TRAINING = {1: (150, 16)}
folder = Path(sys.argv[1])
digits = dataset.load("digits", folder)
print("ready", flush=True)
sys.stdin.readline()
said = list(judge.obtain(digits, folder, "cpu"))
found = cache.at_once(judge.obtain(digits, folder, "cpu"))
print(found.digest, len({event.done for event in said}) - 1, flush=True)
"""


def test_of_two_processes_that_start_together_one_trains(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OBTAIN, str(tmp_path)]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # two processes with all cores each stand in each other's way
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=one_thread)
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=LIMIT)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    digests, steps = zip(*said, strict=True)
    assert digests[0] == digests[1]
    assert sorted(steps) == ["0", "15"]


@pytest.mark.parametrize(
    "shape",
    [(1, 4, 4), (1, 5, 7), (1, 8, 8), (3, 9, 40), (1, 28, 28), (3, 32, 32), (3, 63, 63), (3, 64, 48), (1, 200, 90)],
)
def test_it_fits_images_of_any_size(shape: tuple[int, int, int]) -> None:
    with torch.random.fork_rng():
        network = Network(shape, 3).eval()
    assert network.training is False
    images = torch.zeros(2, *shape)
    assert network.features(images).shape == (2, 64)
    assert network(images).shape == (2, 3)
    assert sum(weight.numel() for weight in network.parameters()) < 1_000_000


@pytest.mark.usefixtures("hasty")
def test_colour_and_tiny_sets_can_be_judged(tmp_path: Path) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (9, 8, 8, 3)).astype(np.uint8)
    labels = np.repeat([0, 1, 2], 3)
    np.savez(tmp_path / "tiny.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    tiny = data.load(f"npz:{tmp_path / 'tiny.npz'}", tmp_path)
    found = obtain(tiny, tmp_path)
    assert found.confusion(tiny).sum() == 3
    assert found.features(tiny.test.floats()).isfinite().all()


@pytest.mark.long
def test_it_knows_mnist(tmp_path: Path) -> None:
    raw = REAL / "MNIST" / "raw"
    if not raw.is_dir():
        pytest.skip(f"MNIST is not in {REAL}")
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for file in raw.iterdir():
        (tmp_path / "MNIST" / "raw" / file.name).write_bytes(file.read_bytes())
    found = obtain(data.load("mnist", tmp_path), tmp_path)
    assert found.accuracy >= 0.985
