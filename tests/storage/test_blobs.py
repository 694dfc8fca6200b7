import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.domain.errors import NotFound, TooLarge, Unavailable
from storage.blobs import Blobs, open_blobs


@pytest.fixture(params=["memory", "folder"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    place = "memory:" if request.param == "memory" else str(tmp_path / "files")
    return open_blobs(place, max_bytes=1024 * 1024)


@pytest.mark.parametrize("content", [b"", b"hello", os.urandom(1024 * 1024)], ids=["empty", "short", "long"])
async def test_what_was_put_is_read_under_its_hash(blobs: Blobs, content: bytes) -> None:
    stored = await blobs.put(content)
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert stored.size == len(content)
    assert await blobs.read(stored.sha256) == content
    assert b"".join([chunk async for chunk in blobs.stream(stored.sha256)]) == content


async def test_same_bytes_again_are_the_same_blob(blobs: Blobs) -> None:
    assert await blobs.put(b"hello") == await blobs.put(b"hello")


async def test_too_large_content_is_refused_and_not_kept(blobs: Blobs) -> None:
    content = bytes(1024 * 1024 + 1)
    with pytest.raises(TooLarge):
        await blobs.put(content)
    with pytest.raises(NotFound):
        await blobs.read(hashlib.sha256(content).hexdigest())


async def test_deleted_blob_is_gone_and_deleting_it_again_is_no_error(blobs: Blobs) -> None:
    stored = await blobs.put(b"hello")
    await blobs.delete(stored.sha256)
    await blobs.delete(stored.sha256)
    with pytest.raises(NotFound):
        await blobs.read(stored.sha256)
    assert await blobs.find_written_at(stored.sha256) is None


async def test_time_of_the_last_put_is_known(blobs: Blobs) -> None:
    stored = await blobs.put(b"hello")
    written_at = await blobs.find_written_at(stored.sha256)
    assert written_at is not None
    assert abs(datetime.now(UTC) - written_at) < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "g" * 64, "a" * 63, "a" * 64 + "\n"])
async def test_only_a_hash_names_a_blob(blobs: Blobs, name: str) -> None:
    with pytest.raises(NotFound):
        await blobs.read(name)
    with pytest.raises(NotFound):
        await anext(blobs.stream(name))
    assert await blobs.find_written_at(name) is None


async def test_torso_that_a_crash_left_is_written_anew(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path))
    stored = await blobs.put(b"hello")
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    file.write_bytes(b"")
    await blobs.put(b"hello")
    assert await blobs.read(stored.sha256) == b"hello"


async def test_folder_holds_nothing_but_finished_files_in_short_folders(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "files"))
    hashes = [(await blobs.put(str(number).encode())).sha256 for number in range(20)]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == sorted(hashes)
    assert all(path.parent.name == path.name[2:4] and path.parent.parent.name == path.name[:2] for path in files)
    assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was forced to disk, by name."""
    names: list[str] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


async def test_blob_and_every_folder_above_it_are_on_disk_when_put_returns(tmp_path: Path, synced: list[str]) -> None:
    sha256 = (await open_blobs(str(tmp_path)).put(b"hello")).sha256
    file = tmp_path / sha256[:2] / sha256[2:4] / sha256
    assert synced == [str(file), str(file.parent), str(file.parent.parent), str(tmp_path)]


async def test_store_that_is_away_is_told_from_a_missing_blob(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "files"))
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(Unavailable):
        await blobs.put(b"hello")
