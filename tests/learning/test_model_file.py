import hashlib
import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from geoseg.domain.legend import legend_from_names
from geoseg.errors import ModelFileError
from geoseg.learning.model_file import ModelRecord, pack_model, read_model, read_record
from geoseg.learning.models import Architecture
from geoseg.learning.normalisation import Normalisation


@pytest.fixture
def written(network, tmp_path):
    """A model file, its network and its record."""
    record = ModelRecord(
        recipe="pfce",
        architecture=Architecture("mobilenet_v3_large", 3, 2, 64, 16),
        legend=legend_from_names(["field", "wood"]),
        bands=(3, 2, 1),
        dtype="uint16",
        normalisation=Normalisation((1.0, 2.5, 1 / 3), (4.0, 5.0, 6.0)),
        resolution_m=0.25,
        training={"epoch": 3, "history": [{"loss": 0.1}]},
    )
    path = tmp_path / "model.geoseg"
    model = network()
    path.write_bytes(pack_model(model.state_dict(), record))
    return path, model, record


def test_a_model_file_gives_back_what_was_stored_to_the_bit(written):
    path, network, record = written
    model = read_model(path)
    assert model.record == record == read_record(path)
    assert all(torch.equal(t, network.state_dict()[n]) for n, t in model.network.state_dict().items())
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not model.network.training


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_damaged(written, share):
    path = written[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"model\.geoseg: .*damaged"):
        read_model(path)


def test_a_file_from_the_future_says_what_to_do(written):
    path = written[0]
    path.write_bytes(save(load_file(path), {"geoseg_format": "99", "geoseg_record": "{}"}))
    with pytest.raises(ModelFileError, match=r"newer version.*Update"):
        read_model(path)


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"recipe": 1}'])
def test_a_record_that_makes_no_sense_is_damage(written, record):
    path = written[0]
    path.write_bytes(save(load_file(path), {"geoseg_format": "1", "geoseg_record": record}))
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("architecture", {"backbone": "resnet9000"}),
        ("architecture", {"classes": 10**9}),
        ("architecture", {"bands": 10**9}),
        ("architecture", {"patch_px": "64"}),
        ("architecture", {"output_stride": 0}),
        ("architecture", {"block_style": "c"}),
        ("normalisation", {"mean": [1.0, float("nan"), 1.0]}),
        ("normalisation", {"deviation": [1.0, 0.0, 1.0]}),
    ],
)
def test_a_forged_record_is_refused_before_a_network_is_built(written, part, value):
    path = written[0]
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    record = json.loads(metadata["geoseg_record"])
    record[part] |= value
    path.write_bytes(save(load_file(path), metadata | {"geoseg_record": json.dumps(record)}))
    with pytest.raises(ModelFileError, match=f"damaged.*{next(iter(value))}"):
        read_record(path)


def test_weights_that_do_not_fit_the_record_are_damage(written):
    path, _, record = written
    path.write_bytes(pack_model({"backbone.0.0.weight": torch.zeros(2)}, record))
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(path)


def test_plain_weights_are_no_model_file(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights.geoseg")
    with pytest.raises(ModelFileError, match="--weights"):
        read_model(tmp_path / "weights.geoseg")


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_a_pickle_is_not_opened(tmp_path, write):
    path = tmp_path / "hostile.geoseg"
    write({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelFileError, match="not opened"):
        read_model(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="nowhere"):
        read_model(tmp_path / "nowhere.geoseg")


def test_the_record_is_plain_json(written):
    header = written[0].read_bytes()
    size = int.from_bytes(header[:8], "little")
    record = json.loads(json.loads(header[8 : 8 + size])["__metadata__"]["geoseg_record"])
    assert record["legend"][1]["name"] == "wood"
