"""Files of releases: wherever they lie the same, and refused where they are not to be trusted."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from terminology.load import files as module
from terminology.load.files import Files
from terminology.load.release import BrokenRelease

TEXT = "eins\r\nzwei\r\n\r\nvier"


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:xz" if path.suffix == ".xz" else "w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_file_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b.txt").write_bytes(TEXT.encode("utf-8-sig"))
    places = [
        folder,
        tar(tmp_path / "x.tar.xz", (tarfile.TarInfo("a/b.txt"), TEXT.encode())),
        tar(tmp_path / "x.tgz", (tarfile.TarInfo("./a/b.txt"), TEXT.encode())),
        zipped(tmp_path / "x.zip", **{"a/b.txt": TEXT.encode()}),
    ]
    for place in places:
        with Files([place]) as files:
            [file] = files.all
            assert (file.name, file.base) == ("a/b.txt", "b.txt")
            assert list(file.lines()) == list(file.lines()) == [(1, "eins"), (2, "zwei"), (4, "vier")]
            assert len(files.digest()) == 64


def test_lines_count_on_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    (tmp_path / "x.txt").write_text("".join(f"line {number} é\n" for number in range(1, 50)), encoding="utf-8")
    with Files([tmp_path / "x.txt"]) as files:
        assert [*files.all[0].lines()] == [(number, f"line {number} é") for number in range(1, 50)]


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "a/../../evil", "C:/evil", "a\\b"])
def test_a_path_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    for place in (tar(tmp_path / "x.tgz", (tarfile.TarInfo(name), b"x")), zipped(tmp_path / "x.zip", **{name: b"x"})):
        with pytest.raises(BrokenRelease, match="lies outside its folder"), Files([place]):
            pass


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link.txt")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(BrokenRelease, match="a link or a device"), Files([tar(tmp_path / "x.tgz", (link, b""))]):
        pass


def test_what_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAIN_BYTES", 10_000)
    bomb = b"0" * 2_000_000
    for place in (
        zipped(tmp_path / "x.zip", **{"x.txt": bomb}),
        tar(tmp_path / "x.tgz", (tarfile.TarInfo("x.txt"), bomb)),
    ):
        with pytest.raises(BrokenRelease, match="unpacks to far more"), Files([place]):
            pass


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "x.zip", **{"x.txt": bytes(range(256)) * 100}).read_bytes()
    (tmp_path / "x.zip").write_bytes(whole.replace(whole[60:80], b"\0" * 20, 1))
    with Files([tmp_path / "x.zip"]) as files, pytest.raises(BrokenRelease, match=r"x\.txt: .*damaged"):
        list(files.all[0].lines())
    (tmp_path / "x.tgz").write_bytes(b"\x1f\x8b" + bytes(100))
    with pytest.raises(BrokenRelease, match=r"x\.tgz: .*damaged"), Files([tmp_path / "x.tgz"]):
        pass


def test_text_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes("eins\nzwei\nhöhe\n".encode("latin-1"))
    with Files([tmp_path / "x.txt"]) as files, pytest.raises(BrokenRelease, match=r"line 3: The text is not in UTF-8"):
        list(files.all[0].lines())


def test_a_path_with_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(BrokenRelease, match="no such file"), Files([tmp_path / "gone.zip"]):
        pass
