"""A sweep belongs to its folder: what is stored is relative to it, and a copy is known."""

import json
import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from orchestrator import session
from orchestrator.errors import UserError
from orchestrator.repair import search
from orchestrator.search import book as books
from orchestrator.search import home, moved, new_sweep, plan, steer
from orchestrator.search.new_sweep import create
from orchestrator.search.options import request
from orchestrator.search.spec import Spec
from orchestrator.stores import artifact_locations, optuna_storage, sqlite
from orchestrator.tracking import connection
from orchestrator.transfer import readdress
from tests.support.paths import QUADRATIC


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Spec:
    """A sweep 'toy' that was started in ``folder`` and driven once."""
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(folder)
    storage = optuna_storage.meant(options.get("storage"), create=True)
    spec = plan.resolve(request(QUADRATIC, name="toy", trials=5, **options), storage)
    book = create(storage, spec)
    Path(spec.folder).mkdir(parents=True, exist_ok=True)
    home.mark(spec)
    book.update(run="0123")
    storage.engine.dispose()
    return spec


def load(folder: Path, monkeypatch: pytest.MonkeyPatch, storage: str | None = None) -> books.Book:
    monkeypatch.chdir(folder)
    return books.load(optuna_storage.meant(storage), "toy")


def text(folder: Path, database: str = "sweeps.db") -> str:
    connection = sqlite3.connect(folder / database)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def test_what_lies_below_the_folder_is_stored_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tmp_path / "first, ü ۱"
    spec = make(first, monkeypatch, set={"journal": str(first / "journal.txt"), "gate": "/elsewhere"})
    assert str(first) not in text(first).replace(json.dumps(spec.command)[1:-1], "").replace(
        json.dumps(spec.options), ""
    )
    second = tmp_path / "second"
    shutil.move(first, second)
    book = load(second, monkeypatch)
    assert not book.obstacle
    assert (book.spec.folder, book.spec.data_folder) == (f"{second}/.sweeps/toy", f"{second}/data")
    assert book.spec.tracking_uri == f"sqlite:///{second}/mlflow.db"
    assert (book.spec.base["journal"], book.spec.base["gate"]) == (f"{second}/journal.txt", "/elsewhere")
    assert (book.spec.command, book.spec.set["journal"]) == (spec.command, f"{second}/journal.txt")


@pytest.mark.parametrize("name", ["a%20b", "a?b", "a#b"])
def test_a_folder_may_have_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose letters mean something else in an address, when it is made, and when it is moved."""
    for first, second in ((name, "plain"), ("plain", name)):
        place = tmp_path / f"from {first}"
        with monkeypatch.context() as context:
            spec = make(place / first, context)
            store = connection.connect(spec.tracking_uri, "--tracking-uri", "toy")
            run = store.client.create_run(store.experiment, run_name="x").info.run_id
            store.client.log_text(run, "content", "some/text.txt")
            shutil.move(place / first, place / second)
            book = load(place / second, context)
            assert not book.obstacle and sqlite.file(book.spec.tracking_uri) == place / second / "mlflow.db"
            moved_store = connection.open_store(book.spec.tracking_uri, "--tracking-uri")
            assert moved_store.content(run, "some/text.txt") == b"content"
            assert [entry.path for entry in moved_store.client.list_artifacts(run, "some")] == ["some/text.txt"]
        outside = [path for path in place.iterdir() if path.name != second]
        assert all(path.name == sqlite.escaped(name) and not any(path.iterdir()) for path in outside)  # MLflow's


def test_a_study_file_is_looked_for_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the current folder is, and however its path is typed: another file of that name is not taken for it."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, question in ((first, "Mine?"), (second, "Not mine?")):
        folder.mkdir()
        (folder / "own.py").write_text(
            Path(QUADRATIC).read_text().replace("question=__doc__", f"question='{question}' or ''")
        )
    monkeypatch.chdir(first)
    storage = optuna_storage.meant(None, create=True)
    spec = plan.resolve(request("own.py", name="toy"), storage)
    create(storage, spec)
    for typed in ("own.py", "./own.py", str(first / "own.py")):
        assert plan.settle(plan.resolve(request(typed, name="toy"), storage), storage) is not None
    book = load(second, monkeypatch, f"sqlite:///{first}/sweeps.db")
    assert (book.spec.study, book.study.question) == ("own.py", "Mine?")
    with pytest.raises(UserError, match="another study"):
        plan.settle(
            plan.resolve(request("own.py", name="toy"), book_storage := optuna_storage.meant(book.address)),
            book_storage,
        )


@pytest.mark.parametrize("storage", ["sweeps.db", "stores/sweeps.db", "../sweeps.db"])
def test_a_copy_is_a_home_of_its_own(storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever Optuna's file lies, if it moves with the folder."""
    (tmp_path / "first/project/stores").mkdir(parents=True)
    make(tmp_path / "first/project", monkeypatch, storage=f"sqlite:///{storage}")
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    project = tmp_path / "second/project"
    book = load(tmp_path, monkeypatch, f"sqlite:///{project}/{storage}")
    assert book.spec.folder == f"{project}/.sweeps/toy" and not book.obstacle


@pytest.mark.parametrize("shared", ["storage", "tracking_uri"])
def test_a_copy_whose_store_is_elsewhere_may_not_change_the_sweep(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    option = {shared: f"sqlite:///{tmp_path}/x/{shared}.db"}
    first, second = tmp_path / "first", tmp_path / "second"
    make(first, monkeypatch, **option)
    storage = option.get("storage")
    shutil.copytree(first, second)
    assert load(first, monkeypatch, storage).spec.folder == f"{first}/.sweeps/toy"
    copy = load(second, monkeypatch, storage)
    assert copy.spec.folder == f"{second}/.sweeps/toy"  # looking reads nothing of the original
    for change in (copy.delete, copy.update, lambda: copy.note("x", 1), copy.claim):
        with pytest.raises(UserError, match=f"belongs to {first}, and {second} holds a copy.*sweep pack toy"):
            change()
    shutil.rmtree(first)
    taken = load(second, monkeypatch, storage)  # it was moved, then
    taken.update(trials=7)
    assert load(second, monkeypatch, storage).spec.trials == 7


@pytest.mark.parametrize("how", ["symbolic link", "hard link"])
@pytest.mark.parametrize("shared", [".sweeps", "sweeps.db", "mlflow.db", "mlruns"])
def test_a_copy_that_has_links_to_the_original_may_not_change_the_sweep(
    shared: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a large folder was moved to another disk, with a link in its place, and then the whole folder was copied."""
    first, second, disk = tmp_path / "first", tmp_path / "second", tmp_path / "disk"
    make(first, monkeypatch)
    (first / "mlruns").mkdir()
    (first / "mlflow.db").touch()
    if how == "hard link":
        if (first / shared).is_dir():
            pytest.skip("folders have none")
        shutil.copytree(first, second)
        (second / shared).unlink()
        (second / shared).hardlink_to(first / shared)
    else:
        (first / shared).rename(disk)
        (first / shared).symlink_to(disk)
        load(first, monkeypatch).claim()
        shutil.copytree(first, second, symlinks=True)
    copy = load(second, monkeypatch)
    with pytest.raises(UserError, match=f"belongs to {first}, and {second}/{shared}.* is a link.*sweep pack toy"):
        copy.claim()
    assert home.identity(first / ".sweeps/toy")["home"] == str(first)
    load(first, monkeypatch).claim()
    shutil.rmtree(first)
    load(second, monkeypatch).update(trials=7)  # it was moved, then


def test_files_that_are_not_there_any_more_are_named_with_the_way_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says the storage where that is needed."""
    first = tmp_path / "first"
    spec = make(first, monkeypatch)
    home.check_there(spec)
    shutil.move(first, tmp_path / "second")
    monkeypatch.setenv("SWEEP_STORAGE", "postgresql://known/x")
    for storage, option in (
        ("sqlite:///sweeps.db", ""),
        ("postgresql://known/x", ""),
        (f"sqlite:///{first}/x/sweeps.db", " --storage sqlite:///x/sweeps.db"),
        ("postgresql://other/x", " --storage postgresql://other/x"),
    ):
        with pytest.raises(home.Moved, match=f"removed from {first} while .* `sweep resume toy{option}` where"):
            home.check_there(spec, storage)
    Path(spec.folder).mkdir(parents=True)
    (Path(spec.folder) / "sweep.json").write_text('{"id": "another"}')
    with pytest.raises(home.Moved):
        home.check_there(spec)


def test_a_home_on_another_machine_is_not_taken_for_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is not seen from here, and may be in use there. The user may say that it was moved."""
    (tmp_path / "x").mkdir()
    storage, first, second = f"sqlite:///{tmp_path}/x/sweeps.db", tmp_path / "first", tmp_path / "second"
    make(first, monkeypatch, storage=storage)
    host = socket.gethostname()
    shutil.move(first, second)
    monkeypatch.setattr(socket, "gethostname", lambda: "other")
    for _ in range(2):
        copy = load(second, monkeypatch, storage)
        assert copy.spec.folder == f"{second}/.sweeps/toy"
        with pytest.raises(
            UserError, match=f"belongs to {first} on {host}, .*sweep pack toy.*`[a-z -]+ resume toy --moved`"
        ):
            copy.note("x", 1)
    book, content = load(second, monkeypatch, storage), copy.notes()[books.SPEC]
    moved_here = books.load(optuna_storage.meant(storage), "toy", moved_here=True)
    moved_here.update(**readdress.resumed(moved_here, {}, moved_here=True))
    load(second, monkeypatch, storage).update(trials=7)
    book.optuna_study.set_user_attr(books.SPEC, {key: content[key] for key in content if key != home.MACHINE})
    load(second, monkeypatch, storage).claim()  # of an earlier version, which noted no machine
    shutil.move(second, first)
    book.optuna_study.set_user_attr(books.SPEC, content)
    load(first, monkeypatch, storage).claim()  # the same path, as on a disk that machines share


def test_a_storage_without_the_files_of_the_sweep_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "first", monkeypatch)
    second = tmp_path / "second"
    second.mkdir()
    shutil.copy(tmp_path / "first/sweeps.db", second)
    with pytest.raises(UserError, match=f"the files of sweep 'toy' are not in {second}/.sweeps/toy"):
        load(second, monkeypatch).claim()
    (second / ".sweeps/toy").mkdir(parents=True)  # what the sentence advises
    load(second, monkeypatch).claim()


def test_files_of_another_sweep_of_the_same_name_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    make(first, monkeypatch)
    make(second, monkeypatch)
    shutil.copy(first / "sweeps.db", second)
    with pytest.raises(UserError, match=f"{second}/.sweeps/toy holds files of another sweep that is called 'toy' too"):
        load(second, monkeypatch)


def test_locations_of_artifacts_follow_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder's own MLflow file, whatever form they have; others stay."""
    first, second = tmp_path / "first ü", tmp_path / "second, x"
    make(first, monkeypatch)
    connection = sqlite3.connect(first / "mlflow.db")
    with connection:
        connection.execute("create table runs (artifact_uri)")
        connection.execute("create table model_versions (source, storage_location)")
        places = [f"{first}/mlruns/1", f"{(first / 'mlruns/2').as_uri()}", f"{first}2/mlruns/3", "s3://x/4", f"{first}"]
        connection.executemany("insert into runs values (?)", [(place,) for place in places])
        connection.execute("insert into model_versions values (?, ?)", (f"{first}/a", f"{first}/b"))
    connection.close()
    shutil.copytree(first, second)
    assert not load(second, monkeypatch).obstacle
    connection = sqlite3.connect(second / "mlflow.db")
    found = [place for (place,) in connection.execute("select artifact_uri from runs")]
    assert found == [
        f"{second}/mlruns/1",
        (second / "mlruns/2").as_uri(),
        f"{first}2/mlruns/3",
        "s3://x/4",
        f"{second}",
    ]
    assert connection.execute("select * from model_versions").fetchall() == [(f"{second}/a", f"{second}/b")]
    connection.close()
    assert f"{second}" not in text(first, "mlflow.db")


def test_locations_stay_while_a_sweep_is_driven_under_another_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may see the folder elsewhere: what runs goes on, and nothing may be written beside it."""
    first, second = tmp_path / "first", tmp_path / "second"
    spec = make(first, monkeypatch)
    connection = sqlite3.connect(first / "mlflow.db")
    with connection:
        connection.execute("create table runs (artifact_uri)")
        connection.execute("insert into runs values (?)", (f"{first}/mlruns/1",))
    connection.close()
    first.rename(second)
    with FileLock(second / ".sweeps/toy/driver.lock"):
        with pytest.raises(UserError, match=f"a sweep of {second} is being driven, for which the folder is {first}"):
            load(second, monkeypatch).claim()
        assert f"{first}/mlruns/1" in text(second, "mlflow.db")
        assert moved.settle(second, f"sqlite:///{second}/mlflow.db")
    load(second, monkeypatch).claim()
    assert f"{second}/mlruns/1" in text(second, "mlflow.db") and spec.name == "toy"


def test_files_beside_the_database_are_read_there(tmp_path: Path) -> None:
    (tmp_path / "mlruns/1/run/artifacts").mkdir(parents=True)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert artifact_locations.beside(uri, "/old/mlruns/1/run/artifacts") == f"{tmp_path}/mlruns/1/run/artifacts"
    for other in ("/old/mlruns/1/other/artifacts", "mlflow-artifacts:/1/run/artifacts", "s3://old/1"):
        assert artifact_locations.beside(uri, other) == other
    assert artifact_locations.beside("http://x", "/old/mlruns/1/run/artifacts") == "/old/mlruns/1/run/artifacts"


def test_files_of_a_sweep_that_the_storage_does_not_know_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the storage was removed and its files were left."""
    spec = make(tmp_path / "first", monkeypatch)
    (tmp_path / "first/sweeps.db").unlink()
    storage = optuna_storage.meant(None, create=True)
    with pytest.raises(UserError, match=f"{spec.folder} holds files of another sweep"):
        session.check(spec, None, None, storage)
    assert new_sweep.fresh_name(storage, "toy", "digits") == "toy-digits-1"
    Path(spec.folder).rename(Path(spec.folder).with_name("toy-digits-1"))
    assert new_sweep.fresh_name(storage, "toy", "digits") == "toy-digits-2"
    Path(spec.folder).with_name("toy-digits-1").rename(spec.folder)
    shutil.rmtree(spec.folder)
    session.check(spec, None, None, storage)


def test_a_sweep_whose_storage_is_gone_or_another_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, monkeypatch)
    assert load(tmp_path, monkeypatch).spec.name == "toy"
    for address, state in (
        ("sqlite:///absent.db", "is gone, but .sweeps holds files of toy"),
        ("sqlite:///empty.db", "is empty, but .sweeps holds files of toy"),
        ("sqlite:///other.db", "knows no sweep toy, but .sweeps holds files of toy"),
    ):
        Path("empty.db").touch()
        optuna_storage.connect("sqlite:///other.db")
        with pytest.raises(UserError, match=f"{state}; give the --storage that has it, put a back-up there"):
            load(tmp_path, monkeypatch, address)
    with pytest.raises(UserError, match="no sweep '' here; 'sweep list' shows those"):
        books.load(optuna_storage.meant(None), "")
    with pytest.raises(UserError, match="no sweep 'toi' here; did you mean toy"):
        books.load(optuna_storage.meant(None), "toi")


def test_a_study_file_that_is_gone_is_to_be_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(QUADRATIC, "mine.py")
    storage = optuna_storage.meant(f"sqlite:///{tmp_path}/sweeps.db", create=True)
    book = create(storage, plan.resolve(request("mine.py", name="toy"), storage))
    Path("mine.py").write_text("STUDY = 3")
    (finding,) = search.findings(book)
    assert "defines no STUDY" in finding.what and "correct it until `" in finding.action
    Path("mine.py").unlink()
    for folder, path in ((tmp_path, "mine.py"), (tmp_path / "below", f"{tmp_path}/mine.py")):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        with pytest.raises(UserError, match=f"there is no file {path}, which is its study; put it back there$"):
            steer.resumed(books.load(storage, "toy"))
