"""What `sweep ui` sees to before it serves: accounts that others cannot read, and a word where there are none."""

from pathlib import Path

import pytest

from orchestrator.errors import UserError
from orchestrator.tracking import server
from orchestrator.tracking.server import PASSWORD, Wanted


def wanted(folder: Path, host: str = "127.0.0.1", auth: bool = False) -> Wanted:
    return Wanted(None, folder, None, None, host, 0, auth, browser=False)


def test_accounts_are_for_their_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flask_wtf")
    monkeypatch.delenv(PASSWORD, raising=False)
    with pytest.raises(UserError, match=f"export {PASSWORD}="):
        server._accounts(wanted(tmp_path))
    assert not (tmp_path / server.ACCOUNTS).exists()
    monkeypatch.setenv(PASSWORD, "a long password")
    server._accounts(wanted(tmp_path))
    assert (tmp_path / server.ACCOUNTS).stat().st_mode & 0o777 == 0o600
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(UserError, match="needs its password"):  # the server never came to write an account
        server._accounts(wanted(tmp_path))
    (tmp_path / server.ACCOUNTS).write_bytes(b"accounts")
    (tmp_path / server.ACCOUNTS).chmod(0o644)  # of an earlier version
    server._accounts(wanted(tmp_path))
    assert (tmp_path / server.ACCOUNTS).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("host", "auth", "open_to_all"),
    [
        ("127.0.0.1", False, False),
        ("localhost", False, False),
        ("0.0.0.0", False, True),
        ("0.0.0.0", True, False),
        ("::", False, True),
        ("192.168.1.7", False, True),
    ],
)
def test_pages_for_everyone_are_served_with_a_word(host: str, auth: bool, open_to_all: bool, tmp_path: Path) -> None:
    note = server._open_to_all(wanted(tmp_path, host, auth))
    assert ("without an account; --auth asks for one" in note) == open_to_all and bool(note) == open_to_all
