"""The data folder belongs to one mode, and with SQLite to one process."""

import stat
from pathlib import Path

import pytest

from gateway.folder import DataFolder, FolderRefused, Mode, keep_secret_key


def test_a_folder_of_one_mode_is_refused_by_the_other(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data", Mode.DEMO, is_exclusive=True):
        pass
    with (
        pytest.raises(FolderRefused, match="GATEWAY_DATA_DIR"),
        DataFolder(tmp_path / "data", Mode.SERVE, is_exclusive=True),
    ):
        pass
    with DataFolder(tmp_path / "data", Mode.DEMO, is_exclusive=True):
        pass


def test_an_exclusive_folder_is_held_by_one(tmp_path: Path) -> None:
    with DataFolder(tmp_path, Mode.SERVE, is_exclusive=True):
        with pytest.raises(FolderRefused, match="running"), DataFolder(tmp_path, Mode.SERVE, is_exclusive=True):
            pass
    with DataFolder(tmp_path, Mode.SERVE, is_exclusive=True):
        pass


def test_processes_on_one_postgresql_share_a_folder(tmp_path: Path) -> None:
    with (
        DataFolder(tmp_path, Mode.SERVE, is_exclusive=False),
        DataFolder(tmp_path, Mode.SERVE, is_exclusive=False),
    ):
        pass


def test_a_kept_key_stays_the_same_and_is_its_owners_alone(tmp_path: Path) -> None:
    key = keep_secret_key(tmp_path / "demo")
    assert keep_secret_key(tmp_path / "demo") == key
    assert keep_secret_key(tmp_path / "other") != key
    assert len(key) >= 32
    assert stat.S_IMODE((tmp_path / "demo" / "secret_key").stat().st_mode) == 0o600
