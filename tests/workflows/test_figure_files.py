import matplotlib.image
import pytest

from geoseg.errors import OutputError
from geoseg.pictures.sheet import open_sheet
from geoseg.workflows.figure_files import write_picture


def test_a_picture_has_the_size_of_its_sheet_in_pixels(tmp_path):
    write_picture(open_sheet(320, 140), tmp_path / "sheet.png", overwrite=False)
    assert matplotlib.image.imread(tmp_path / "sheet.png").shape[:2] == (140, 320)
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]


def test_a_picture_that_fails_halfway_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path):
    path = tmp_path / "old.png"
    write_picture(open_sheet(50, 50), path, overwrite=False)
    before = path.read_bytes()
    sheet = open_sheet(100, 100)

    def fail(file, **options):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    sheet.savefig = fail
    with pytest.raises(OutputError, match=r"old\.png.*No space left"):
        write_picture(sheet, path, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_of_somebody_else_is_not_replaced(tmp_path):
    path = tmp_path / "figure.png"
    open_sheet(50, 50).savefig(path)
    before = path.read_bytes()

    with pytest.raises(OutputError, match="not replaced"):
        write_picture(open_sheet(100, 100), path, overwrite=True)
    assert path.read_bytes() == before
