import stat
from zipfile import ZipFile, ZipInfo

import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import DatasetError, OutputError
from geoseg.geodata.datasets.archives import unpack


@pytest.fixture
def archive(tmp_path):
    """Write members by name, one perhaps a link, as a zip."""

    def write(*names, link=None):
        path = tmp_path / "data.zip"
        with ZipFile(path, "w") as opened:
            for name in names:
                opened.writestr(name, "content of " + name)
            if link:
                info = ZipInfo(link)
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                opened.writestr(info, "/etc/passwd")
        return path

    return write


def test_an_archive_is_unpacked_whole(archive, tmp_path):
    unpack(archive("images/a.tif", "train.txt"), tmp_path / "data", NullProgress())
    assert (tmp_path / "data" / "images" / "a.tif").read_text() == "content of images/a.tif"
    assert {p.name for p in tmp_path.iterdir()} == {"data", "data.zip"}


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:evil.txt"]
)
def test_members_that_reach_outside_are_refused_and_nothing_is_unpacked(archive, tmp_path, name):
    with pytest.raises(DatasetError, match=r"has paths outside its folder; nothing was unpacked.*evil"):
        unpack(archive("good.txt", name), tmp_path / "data", NullProgress())
    assert {p.name for p in tmp_path.iterdir()} == {"data.zip"}


def test_links_are_refused(archive, tmp_path):
    with pytest.raises(DatasetError, match="has paths outside"):
        unpack(archive("good.txt", link="link"), tmp_path / "data", NullProgress())


def test_a_folder_with_something_in_it_is_left_alone(archive, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").touch()
    with pytest.raises(OutputError, match="not empty"):
        unpack(archive("good.txt"), tmp_path / "data", NullProgress())
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["mine"]


def test_an_empty_folder_will_do(archive, tmp_path):
    (tmp_path / "data").mkdir()
    unpack(archive("good.txt"), tmp_path / "data", NullProgress())
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["good.txt"]


def test_a_damaged_archive_leaves_nothing(archive, tmp_path):
    path = archive("good.txt")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DatasetError, match="damaged"):
        unpack(path, tmp_path / "data", NullProgress())
    assert {p.name for p in tmp_path.iterdir()} == {"data.zip"}


def test_a_full_disk_leaves_nothing(tmp_path, full_disk):
    path = tmp_path / "data.zip"
    with ZipFile(path, "w") as opened:
        opened.writestr("large", b"x" * 200_000)
    with full_disk(50_000), pytest.raises(OutputError, match="cannot be unpacked"):
        unpack(path, tmp_path / "data", NullProgress())
    assert {p.name for p in tmp_path.iterdir()} == {"data.zip"}


def test_a_bomb_is_refused_before_it_is_opened(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with ZipFile(path, "w") as opened:
        for n in range(2):
            opened.writestr(f"{n}", b"x")
        for info in opened.filelist:
            info.file_size = 2**40
    with pytest.raises(DatasetError, match="implausibly large"):
        unpack(path, tmp_path / "data", NullProgress())
    assert {p.name for p in tmp_path.iterdir()} == {"bomb.zip"}
