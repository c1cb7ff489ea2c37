import hashlib
import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from geoseg.domain.legend import legend_from_names
from geoseg.errors import ModelFileError
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.models.deeplab import Architecture
from geoseg.networks.models.model_file import ModelRecord, pack_model, read_model, read_record

RECORD = ModelRecord(
    recipe="pfce",
    architecture=Architecture("mobilenet_v3_large", 3, 2, 64, 16),
    legend=legend_from_names(["field", "wood"]),
    bands=(3, 2, 1),
    dtype="uint16",
    normalisation=Normalisation((1.0, 2.5, 1 / 3), (4.0, 5.0, 6.0)),
    resolution_m=0.25,
    training={"epoch": 3, "history": [{"loss": 0.1}]},
)


@pytest.fixture
def hollow(tmp_path):
    """A small file with a model's record, and one tensor in place of its weights."""
    path = tmp_path / "model.geoseg"
    path.write_bytes(pack_model({"backbone.0.0.weight": torch.zeros(2)}, RECORD))
    return path


def _metadata(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def test_a_model_file_gives_back_what_was_stored_to_the_bit(network, tmp_path):
    stored, path = network(), tmp_path / "model.geoseg"
    path.write_bytes(pack_model(stored.state_dict(), RECORD))
    model = read_model(path)
    assert model.record == RECORD == read_record(path)
    assert all(torch.equal(t, stored.state_dict()[n]) for n, t in model.network.state_dict().items())
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not model.network.training


def test_indices_are_stored_as_well(network, tmp_path):
    path = tmp_path / "model.geoseg"
    indices = Normalisation((1.0, 2.5, 1 / 3, 0.1), (4.0, 5.0, 6.0, 0.2), ((0, 2),))
    record = replace(
        RECORD, normalisation=indices, architecture=replace(RECORD.architecture, bands=4, indices=1)
    )
    path.write_bytes(pack_model({"weight": torch.zeros(2)}, record))
    assert read_record(path) == record


def test_any_layout_in_memory_is_stored_as_it_is_meant(tmp_path):
    weight = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pack_model({"weight": weight}, RECORD))
    assert torch.equal(load_file(path)["weight"], weight)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_damaged(hollow, share):
    content = hollow.read_bytes()
    hollow.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"model\.geoseg: .*damaged"):
        read_model(hollow)


def test_a_file_from_the_future_says_what_to_do(hollow):
    hollow.write_bytes(save(load_file(hollow), {"geoseg_format": "99", "geoseg_record": "{}"}))
    with pytest.raises(ModelFileError, match=r"newer version.*Update"):
        read_model(hollow)


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"recipe": 1}'])
def test_a_record_that_makes_no_sense_is_damage(hollow, record):
    hollow.write_bytes(save(load_file(hollow), {"geoseg_format": "1", "geoseg_record": record}))
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(hollow)


def test_the_one_scale_of_files_before_format_3_is_read(hollow):
    metadata = _metadata(hollow)
    record = json.loads(metadata["geoseg_record"])
    del record["architecture"]["scales"]
    record["architecture"]["enlarge"] = 2
    earlier = {"geoseg_format": "2", "geoseg_record": json.dumps(record)}
    hollow.write_bytes(save(load_file(hollow), earlier))
    assert read_record(hollow).architecture.scales == (2,)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("architecture", {"backbone": "resnet9000"}),
        ("architecture", {"classes": 10**9}),
        ("architecture", {"bands": 10**9}),
        ("normalisation", {"indices": [[0, 1]]}),
        ("architecture", {"indices": 1}),
        ("architecture", {"patch_px": "64"}),
        ("architecture", {"output_stride": 0}),
        ("architecture", {"block_style": "c"}),
        ("normalisation", {"mean": [1.0, float("nan"), 1.0]}),
        ("normalisation", {"deviation": [1.0, 0.0, 1.0]}),
        ("architecture", {"head": "cubic"}),
        ("architecture", {"scales": [10**6]}),
        ("calibration", {"temperature": 0.0}),
        ("calibration", {"shift": [0.0]}),
        ("calibration", {"shift": [0.0, float("inf"), 0.0]}),
    ],
)
def test_a_forged_record_is_refused_before_a_network_is_built(hollow, part, value):
    metadata = _metadata(hollow)
    record = json.loads(metadata["geoseg_record"])
    record[part] |= value
    hollow.write_bytes(save(load_file(hollow), metadata | {"geoseg_record": json.dumps(record)}))
    with pytest.raises(ModelFileError, match=f"damaged.*{next(iter(value))}"):
        read_record(hollow)


@pytest.mark.parametrize("pair", [[0, 3], [-1, 0], [0, True], [0, 0.5], [0, "1"]])
def test_a_forged_index_is_refused(hollow, pair):
    metadata = _metadata(hollow)
    record = json.loads(metadata["geoseg_record"])
    record["architecture"] |= {"bands": 4, "indices": 1}
    record["normalisation"] = {"mean": [1.0] * 4, "deviation": [1.0] * 4, "indices": [pair]}
    hollow.write_bytes(save(load_file(hollow), metadata | {"geoseg_record": json.dumps(record)}))
    with pytest.raises(ModelFileError, match=r"damaged.*unusable indices"):
        read_record(hollow)


def test_weights_that_do_not_fit_the_record_are_damage(hollow):
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(hollow)


def test_plain_weights_are_no_model_file(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights.geoseg")
    with pytest.raises(ModelFileError, match="--weights"):
        read_model(tmp_path / "weights.geoseg")


@pytest.mark.parametrize("length", [0x80 + 0x400, 0x4B50])
def test_a_header_as_long_as_a_pickle_or_zip_begins_is_no_pickle(hollow, length):
    # The file begins with that length: 80 04 is how a pickle begins, 50 4B ("PK") how a zip does.
    def header(padding):
        record = replace(RECORD, training={"note": "x" * padding})
        return pack_model({"weight": torch.zeros(2)}, record)

    hollow.write_bytes(header(length - int.from_bytes(header(0)[:8], "little")))
    assert int.from_bytes(hollow.read_bytes()[:8], "little") == length
    assert read_record(hollow).legend == RECORD.legend


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_a_pickle_is_not_opened(tmp_path, write):
    path = tmp_path / "hostile.geoseg"
    write({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelFileError, match="not opened"):
        read_model(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="nowhere"):
        read_model(tmp_path / "nowhere.geoseg")


def test_the_record_is_plain_json(hollow):
    record = json.loads(_metadata(hollow)["geoseg_record"])
    assert record["legend"][1]["name"] == "wood"
    assert record["training"]["history"] == [{"loss": 0.1}]
