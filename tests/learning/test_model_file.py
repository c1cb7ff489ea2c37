import hashlib
import json
import pickle
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file

from geoseg.domain.legend import legend_from_names
from geoseg.errors import ModelFileError
from geoseg.inference.graphs.assembly import join_tensors
from geoseg.inference.graphs.layers import LayerPlan, linear_graph
from geoseg.inference.runtimes import onnx_runtime
from geoseg.learning.architecture import Architecture
from geoseg.learning.calibration import Calibration
from geoseg.learning.model_file import (
    FORMAT,
    InferenceGraph,
    Model,
    ModelRecord,
    inference_graph,
    pack_model,
    read_model,
    read_record,
)
from geoseg.learning.normalisation import Normalisation

RECORD = ModelRecord(
    recipe="quick",
    architecture=Architecture("efficientnet_lite0", 3, 2, 64, 16, head="linear"),
    legend=legend_from_names(["field", "wood"]),
    bands=(3, 2, 1),
    dtype="uint16",
    normalisation=Normalisation((1.0, 2.5, 1 / 3), (4.0, 5.0, 6.0)),
    resolution_m=0.25,
    training={"epoch": 3, "history": [{"loss": 0.1}]},
)


HOLLOW = InferenceGraph(b"", {"weight": np.zeros(2, np.float32)})


@pytest.fixture
def hollow(tmp_path):
    """A small file with a model's record, and a graph that is none."""
    path = tmp_path / "model.geoseg"
    path.write_bytes(pack_model(HOLLOW, RECORD))
    return path


@pytest.fixture(scope="module")
def network():
    """The bundled backbone with a random head."""
    plan = LayerPlan(3, 3, (1,), False)
    weight = np.random.default_rng(0).normal(0, 0.1, (2, sum(plan.counts))).astype(np.float32)
    return inference_graph(linear_graph(plan, weight, np.array([0.5, -0.5], np.float32)))


def write(network, path, record=None):
    path.write_bytes(pack_model(network, record or RECORD))
    return path


def _metadata(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def test_a_model_file_gives_back_what_was_stored_to_the_bit(network, tmp_path):
    path = write(network, tmp_path / "model.geoseg")
    model = read_model(path)
    assert model.record == RECORD == read_record(path)
    assert model.network.graph == network.graph
    assert model.network.tensors.keys() == network.tensors.keys()
    assert all(np.array_equal(t, network.tensors[n]) for n, t in model.network.tensors.items())
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_each_tensor_is_stored_once(network, tmp_path):
    """The graph names the tensors; their values stand beside it."""
    path = write(network, tmp_path / "model.geoseg")
    tensors = sum(values.nbytes for values in network.tensors.values())
    assert tensors < path.stat().st_size < 1.05 * tensors
    assert "heads.0.weight" in network.tensors


def test_a_model_gives_calibrated_probabilities(network):
    """softmax(logits / 2 + (1, 0)), of logits that the graph gives."""
    record = replace(RECORD, calibration=Calibration(2.0, (1.0, 0.0)))
    images = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    plain = onnx_runtime(Model(network, RECORD).onnx, 1)(images)

    found = onnx_runtime(Model(network, record).onnx, 1)(images)

    odds = np.log(plain[:, 0] / plain[:, 1]) / 2 + 1
    np.testing.assert_allclose(found[:, 0], 1 / (1 + np.exp(-odds)), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan"])
def test_a_graph_that_could_run_without_end_is_damage(network, tmp_path, operator):
    forged = onnx.load_from_string(network.graph)
    forged.graph.node[0].op_type = operator
    path = write(replace(network, graph=forged.SerializeToString()), tmp_path / "model.geoseg")
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(path)


def test_a_graph_that_refers_to_another_file_is_damage(network, tmp_path):
    forged = onnx.load_from_string(network.graph)
    tensor = forged.graph.initializer.add(name="secret", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")
    path = write(replace(network, graph=forged.SerializeToString()), tmp_path / "model.geoseg")
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(path)


def test_a_constant_that_refers_to_another_file_is_damage(network, tmp_path):
    forged = onnx.load_from_string(network.graph)
    node = forged.graph.node.add(op_type="Constant", name="secret", output=["secret"])
    value = node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t
    value.data_type, value.data_location = 1, onnx.TensorProto.EXTERNAL
    value.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ValueError, match="refers to another file"):
        join_tensors(forged.SerializeToString(), {})
    path = write(replace(network, graph=forged.SerializeToString()), tmp_path / "model.geoseg")
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(path)


@pytest.mark.parametrize("change", [{"bands": 4}, {"classes": 3}])
def test_a_graph_of_other_channels_or_classes_is_damage(network, tmp_path, change):
    normal = Normalisation((1.0,) * 4, (4.0,) * 4, ((0, 2),))
    legend = legend_from_names(["field", "wood", "water"])
    more = {"bands": {"normalisation": normal}, "classes": {"legend": legend}}[next(iter(change))]
    indices = {"indices": 1} if "bands" in change else {}
    record = replace(RECORD, architecture=replace(RECORD.architecture, **change, **indices), **more)
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(write(network, tmp_path / "model.geoseg", record))


def test_indices_are_stored_as_well(tmp_path):
    path = tmp_path / "model.geoseg"
    indices = Normalisation((1.0, 2.5, 1 / 3, 0.1), (4.0, 5.0, 6.0, 0.2), ((0, 2),))
    record = replace(
        RECORD, normalisation=indices, architecture=replace(RECORD.architecture, bands=4, indices=1)
    )
    path.write_bytes(pack_model(HOLLOW, record))
    assert read_record(path) == record


def test_any_layout_in_memory_is_stored_as_it_is_meant(tmp_path):
    weight = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
    path = write(InferenceGraph(b"", {"weight": weight}), tmp_path / "weights.safetensors")
    assert np.array_equal(load_file(path)["weight"], weight)


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
    hollow.write_bytes(save(load_file(hollow), {"geoseg_format": str(FORMAT), "geoseg_record": record}))
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(hollow)


def test_a_file_of_an_earlier_version_says_what_to_do(hollow):
    hollow.write_bytes(save(load_file(hollow), _metadata(hollow) | {"geoseg_format": "4"}))
    with pytest.raises(
        ModelFileError, match=r"earlier version.*expected format 5; got format 4.*Train it again"
    ):
        read_record(hollow)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("architecture", {"backbone": "../resnet"}),
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
    save_file({"weight": np.zeros(2)}, tmp_path / "weights.geoseg")
    with pytest.raises(ModelFileError, match="--weights"):
        read_model(tmp_path / "weights.geoseg")


@pytest.mark.parametrize("length", [0x80 + 0x400, 0x4B50])
def test_a_header_as_long_as_a_pickle_or_zip_begins_is_no_pickle(hollow, length):
    # The file begins with that length: 80 04 is how a pickle begins, 50 4B ("PK") how a zip does.
    def header(padding):
        record = replace(RECORD, training={"note": "x" * padding})
        return pack_model(HOLLOW, record)

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
