"""What people use next to this library: networks of segmentation_models_pytorch, the training loop of torchgeo."""

import numpy as np
import pytest
import rasterio
import torch

from geoseg import PFCELoss, predict_raster

# Deprecations inside these libraries are not ours to fix.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


def _network():
    smp = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    return smp.Unet("resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(16, 8, 8), classes=3)


def _normalised(images):
    return images / 100 - 1


def _batch(dataset):
    with rasterio.open(dataset / "images" / "east.tif") as image:
        pixels = torch.from_numpy(image.read()[None, :, 16:80, 16:80]).float()
    with rasterio.open(dataset / "masks" / "east.tif") as mask:
        truth = torch.from_numpy(mask.read(1)[None, 16:80, 16:80]).long()
    target = torch.full_like(truth, 255)
    target[:, ::8, ::8] = truth[:, ::8, ::8]
    return _normalised(pixels), target


def test_a_network_of_smp_learns_from_points_and_maps_a_raster(dataset, raster, tmp_path, classes):
    network, (images, target) = _network(), _batch(dataset)
    optimizer, loss = torch.optim.Adam(network.parameters(), 0.01), PFCELoss()
    for _ in range(30):
        optimizer.zero_grad()
        loss(network(images), target).backward()
        optimizer.step()

    made = predict_raster(
        network,
        raster,
        tmp_path / "map.tif",
        legend=classes.names,
        prepare=_normalised,
        confidence=tmp_path / "confidence.tif",
    )

    with rasterio.open(made.class_map) as written, rasterio.open(dataset / "masks" / "north.tif") as mask:
        found, truth = written.read(1), mask.read(1)
    assert (found == truth)[truth != 255].mean() > 0.6
    assert network.training


def test_the_loss_trains_a_task_of_torchgeo(dataset):
    pytest.importorskip("torchgeo")
    from lightning.pytorch import Trainer
    from torch.utils.data import DataLoader
    from torchgeo.trainers import SemanticSegmentationTask

    class PointTask(SemanticSegmentationTask):
        def configure_losses(self):
            self.criterion = PFCELoss(gamma=2.0, ignore_index=255)

        def configure_optimizers(self):
            # torchgeo's schedule needs validation data.
            return torch.optim.AdamW(self.model.parameters(), 0.001)

    images, target = _batch(dataset)
    task = PointTask(model="unet", backbone="resnet18", in_channels=3, num_classes=3, ignore_index=255)
    before = [parameter.detach().clone() for parameter in task.model.parameters()]
    loader = DataLoader([{"image": images[0], "mask": target[0]}] * 2, batch_size=2)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}

    Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **quiet).fit(task, loader)

    assert isinstance(task.criterion, PFCELoss)
    assert any(not torch.equal(a, b) for a, b in zip(before, task.model.parameters(), strict=True))
    assert np.isfinite(float(task.criterion(task(images), target)))
