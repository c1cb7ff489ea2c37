"""What all tests share: a tiny landscape on disk, a model trained on it, and the command line in-process."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from geoseg.domain.legend import LandClass, Legend
from geoseg.domain.windows import Window
from geoseg.geodata.datasets.legend_files import write_legend
from geoseg.geodata.reading.opening import ignore_missing_georeference

# Examples may be slow on a busy machine; a test is about what is true, never about speed.
hypothesis.settings.register_profile("geoseg", deadline=None)
hypothesis.settings.load_profile("geoseg")

UTM = "EPSG:32617"
SIDE = 96
CLASSES = Legend(
    (LandClass(0, "field", "#e0c050"), LandClass(1, "wood", "#206030"), LandClass(2, "water", "#3060d0"))
)
COLORS = np.array([[200, 180, 90], [40, 90, 50], [40, 60, 190]])


@dataclass(frozen=True)
class Outcome:
    """What a command gave: its exit code, and what it printed on standard output and standard error."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]
WriteTiff = Callable[..., Path]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Compute on one thread: for networks this small more only wait for each other, and sums would differ."""
    import torch

    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


@dataclass(frozen=True)
class ArraySource:
    """A PixelSource over pixels (B, H, W), valid where ``mask`` (H, W) says so, or everywhere."""

    pixels: NDArray[np.float32]
    mask: NDArray[np.bool_] | None = None

    @property
    def height(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[2])

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        out = np.zeros((len(self.pixels), window.height, window.width), np.float32)
        valid = np.zeros((window.height, window.width), bool)
        part = window.clipped(self.height, self.width)
        row, col = part.row - window.row, part.col - window.col
        box = np.s_[row : row + part.height, col : col + part.width]
        there = np.s_[part.row : part.row + part.height, part.col : part.col + part.width]
        valid[box] = True if self.mask is None else self.mask[there]
        out[:, *box] = self.pixels[:, *there]
        return out, valid


@pytest.fixture
def source() -> type[ArraySource]:
    """A raster in memory."""
    return ArraySource


@pytest.fixture
def geoseg(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command as the terminal does, in this process."""
    from geoseg.__main__ import main

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["geoseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return Outcome(int(stop.value.code or 0), out, err)

    return run


@contextmanager
def _limited(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        # Before pytest writes its own report, perhaps to a file.
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file grow past some bytes meanwhile, as on a disk that fills up."""
    return _limited


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep features in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def few_trees() -> Iterator[int]:
    """Fit forests of 20 trees, because a test of more than the forest itself is as good with few; give the default."""
    from geoseg.learning.heads import forest

    with pytest.MonkeyPatch.context() as patch:
        default = forest.TREES
        patch.setattr(forest, "TREES", 20)
        yield default


@pytest.fixture
def all_trees(few_trees: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit forests of as many trees as users get."""
    from geoseg.learning.heads import forest

    monkeypatch.setattr(forest, "TREES", few_trees)


@pytest.fixture(scope="session")
def light() -> dict[str, Any]:
    """Settings of a training of quick or forest that costs about a second: the bundled backbone, without torch."""
    return {
        "patch": 64,
        "batch": 2,
        "epochs": 1,
        "patches": 4,
        "device": "cpu",
        "precision": "float32",
    }


@pytest.fixture(scope="session")
def cheap(light: dict[str, Any]) -> dict[str, Any]:
    """Settings of a training that costs a few seconds, with a backbone in torch that every recipe takes."""
    return {**light, "backbone": "mobilenet_v3_large", "weights": "none"}


@pytest.fixture(scope="session")
def cheaply(cheap: dict[str, Any]) -> list[str]:
    """The same settings as options of ``geoseg train``."""
    return _as_options(cheap)


@pytest.fixture(scope="session")
def lightly(light: dict[str, Any]) -> list[str]:
    """The settings of ``light`` as options of ``geoseg train``."""
    return _as_options(light)


def _as_options(settings: dict[str, Any]) -> list[str]:
    return [text for name, value in settings.items() for text in (f"--{name}", str(value))]


def _place(index: float, pixel_m: float) -> Affine:
    """Return the transform of a scene that lies ``index`` kilometres east of the first."""
    return Affine(pixel_m, 0, 500_000 + 1000 * index, 0, -pixel_m, 4_000_000)


def _write_tiff(
    path: Path,
    values: ArrayLike,
    *,
    crs: str | None = UTM,
    index: float = 0,
    pixel_m: float = 1.0,
    **creation: object,
) -> Path:
    bands = np.asarray(values)
    bands = bands[None] if bands.ndim == 2 else bands
    count, height, width = bands.shape
    ground = {"crs": crs, "transform": _place(index, pixel_m)} if crs else {}
    options = {**ground, "photometric": "MINISBLACK", **creation}
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        ignore_missing_georeference(),
        rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype, **options
        ) as dataset,
    ):
        dataset.write(bands)
    return path


@pytest.fixture(scope="session")
def write_tiff() -> WriteTiff:
    """Write values (H, W) or (B, H, W), in their own type, as a GeoTIFF of one-metre pixels."""
    return _write_tiff


def _scene(seed: int, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    col = np.arange(side)[None, :] + 6 * np.sin(np.arange(side) / 9 + seed)[:, None]
    mask = np.clip(col // (side / 3), 0, 2).astype(np.uint8)
    image = np.clip(COLORS[mask] + rng.normal(0, 12, (side, side, 3)), 1, 255).astype(np.uint8)
    image[:12, :20], mask[:12, :20] = 0, 255
    return np.moveaxis(image, -1, 0), mask


def _write_dataset(folder: Path) -> Path:
    for index, name in enumerate(("east", "west", "north")):
        image, mask = _scene(index, SIDE)
        _write_tiff(folder / "images" / f"{name}.tif", image, index=index, nodata=0)
        _write_tiff(folder / "masks" / f"{name}.tif", mask, index=index, nodata=255)
    (folder / "train.txt").write_text("east\nwest\n")
    (folder / "test.txt").write_text("north\n")
    write_legend(folder / "legend.json", CLASSES, False)
    return folder


@pytest.fixture
def own_dataset(tmp_path: Path) -> Path:
    """A copy of the dataset that a test may spoil."""
    return _write_dataset(tmp_path / "data")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that tests read from and never write to."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def classes() -> Legend:
    """The legend of the dataset: field, wood and water."""
    return CLASSES


@pytest.fixture(scope="session")
def dataset(shared: Path) -> Path:
    """Images of 96 x 96 px with a hole in the north-west; train: east and west, test: north.

    From west to east lie field, wood and water, a third each; the masks are 255 in the hole.
    """
    return _write_dataset(shared / "data")


@pytest.fixture(scope="session")
def raster(dataset: Path) -> Path:
    """The raster that is held out."""
    return dataset / "images" / "north.tif"


@pytest.fixture(scope="session")
def points(dataset: Path, shared: Path) -> Path:
    """Five points per class and training image."""
    from geoseg.settings import SampleSettings
    from geoseg.workflows.sample import sample

    path = shared / "points.gpkg"
    sample(SampleSettings(data=dataset, output=path, split="train", per_class=5))
    return path


@pytest.fixture(scope="session")
def trained(dataset: Path, points: Path, shared: Path, cheap: dict[str, Any]) -> Path:
    """A model file of the dataset's points, as one epoch of four patches leaves it."""
    from geoseg.settings import TrainSettings
    from geoseg.workflows.training.train import train

    path = shared / "trained.geoseg"
    train(TrainSettings(data=dataset, points=points, output=path, recipe="pfce", **cheap))
    return path


@pytest.fixture(scope="session")
def model(trained: Path, dataset: Path, shared: Path) -> Path:
    """The trained model, tuned until its maps show all classes."""
    from geoseg.learning.model_file import pack_model, read_model
    from geoseg.networks.models.rebuilding import rebuild_network
    from geoseg.networks.prediction.exporting import to_inference_graph

    model = read_model(trained)
    network = rebuild_network(model.record.architecture, model.network.tensors)
    _tune(network, model.record, dataset)
    path = shared / "model.geoseg"
    path.write_bytes(pack_model(to_inference_graph(network, 3), model.record))
    return path


def _tune(network: Any, record: Any, dataset: Path) -> None:
    """Settle the batch norms, and fit the last layer to the masks at its cells' centres by ridge regression."""
    import torch

    from geoseg.networks.features.normalising import normalise

    pixels, at_cells = [], []
    for name in ("east", "west"):
        with rasterio.open(dataset / "images" / f"{name}.tif") as image:
            pixels.append(torch.from_numpy(image.read()).float())
        with rasterio.open(dataset / "masks" / f"{name}.tif") as mask:
            at_cells.append(mask.read(1)[8::16, 8::16].ravel())
    images = torch.stack(pixels)
    normal = normalise(images, (images > 0).all(dim=1), record.normalisation)
    last, network.classifier[-1] = network.classifier[-1], torch.nn.Identity()
    for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(normal)
        deep = network.eval()(normal).movedim(1, -1).flatten(0, 2).double().numpy()
        network.classifier[-1] = last
        weight, bias = _ridge(deep, np.concatenate(at_cells))
        last.weight.copy_(torch.from_numpy(weight[:, :, None, None]))
        last.bias.copy_(torch.from_numpy(bias))


def _ridge(
    deep: NDArray[np.float64], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights (3, F) and biases (3,) that give logits of features (P, F) with labels (P,)."""
    known = labels < 255
    truth, mean = 10 * np.eye(3)[labels[known]], deep[known].mean(axis=0)
    centred = deep[known] - mean
    kernel = centred @ centred.T
    ridge = 1e-4 * np.trace(kernel) / len(kernel) * np.eye(len(kernel))
    weight = (centred.T @ np.linalg.solve(kernel + ridge, truth)).T
    return weight, truth.mean(axis=0) - weight @ mean


@pytest.fixture(scope="session")
def weights(shared: Path) -> Path:
    """A state dict of a backbone, as people share them."""
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v3_large

    path = shared / "backbone.safetensors"
    save_file({k: v.contiguous() for k, v in mobilenet_v3_large().state_dict().items()}, path)
    return path


@pytest.fixture
def tiny_network() -> Callable[..., Any]:
    """A fresh network of two convolutions on cells of 4 px, with batch norm and dropout, for fits in no time."""
    import torch
    from torch import nn

    from geoseg.networks.models.deeplab import DeepLabV3

    class Backbone(nn.Module):
        def __init__(self, bands: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(bands, 8, 4, stride=4)
            self.norm = nn.BatchNorm2d(8)

        def forward(self, images: Any) -> dict[str, Any]:
            return {"out": self.norm(self.conv(images)).relu()}

    def build(bands: int = 3, classes: int = 2) -> DeepLabV3:
        torch.manual_seed(0)
        return DeepLabV3(Backbone(bands), nn.Sequential(nn.Dropout(0.1), nn.Conv2d(8, classes, 1)))

    return build
