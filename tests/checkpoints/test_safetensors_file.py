import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from keras_bert.checkpoints.safetensors_file import MAX_HEADER_BYTES, read_tensors, write_tensors
from keras_bert.errors import CheckpointError

GOOD = {
    "first": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "second": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
}


def as_file(header, data=bytes(32)):
    """The bytes of a safetensors file with this header, a dict or bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def changed(tensor, **changes):
    return {**GOOD, tensor: {**GOOD[tensor], **changes}}


def without(tensor, key):
    return {**GOOD, tensor: {name: value for name, value in GOOD[tensor].items() if name != key}}


DAMAGED = {
    "empty": (b"", "has 0 bytes"),
    "cut_in_the_length": (as_file(GOOD)[:5], "has 5 bytes"),
    "cut_in_the_header": (as_file(GOOD)[:40], "header claims"),
    "cut_in_the_data": (as_file(GOOD)[:-1], "'second' claims the bytes [24, 32]"),
    "length_of_2_to_the_63": (b"\xff" * 8 + as_file(GOOD), "header claims"),
    "header_too_long": (as_file(b" " * (MAX_HEADER_BYTES + 1)), "at most"),
    "another_format": (b"PK\x03\x04" + bytes(100), "header claims"),
    "no_json": (as_file(b"{first: 1}"), "Not valid JSON"),
    "no_utf8": (as_file(b'{"\xff": 1}'), "Not valid JSON"),
    "no_object": (as_file(b"[1, 2]"), "JSON of type list"),
    "deep_nesting": (as_file(b"[" * 100_000), "Not valid JSON"),
    "repeated_tensor": (as_file(b'{"same": {}, "same": {}}'), "'same' stands there twice"),
    "entry_is_a_list": (as_file({"first": [1]}), "'first' is not described"),
    "no_shape": (as_file(without("first", "shape")), "'first' is not described"),
    "unknown_dtype": (as_file(changed("first", dtype="F8_E4M3")), "'first' has the dtype 'F8_E4M3'"),
    "dtype_is_a_list": (as_file(changed("first", dtype=["F32"])), "'first' has the dtype ['F32']"),
    "negative_size": (as_file(changed("first", shape=[-2, -3])), "'first' has the shape [-2, -3]"),
    "boolean_size": (as_file(changed("second", shape=[True])), "'second' has the shape [True]"),
    "empty_axis": (as_file(changed("first", shape=[0, 3])), "'first' has the shape [0, 3]"),
    "size_beyond_the_file": (as_file(changed("first", shape=[2**62, 4])), "'first' has the shape"),
    "too_many_axes": (as_file(changed("second", shape=[1] * 40)), "'second' has the shape"),
    "three_offsets": (as_file(changed("first", data_offsets=[0, 24, 24])), "'first' claims the bytes"),
    "fractional_offsets": (as_file(changed("first", data_offsets=[0.0, 24.0])), "'first' claims the bytes"),
    "offsets_backwards": (as_file(changed("first", data_offsets=[24, 0])), "'first' claims the bytes"),
    "offsets_beyond_the_file": (as_file(changed("second", data_offsets=[24, 33])), "'second'"),
    "bytes_unlike_the_shape": (as_file(changed("first", shape=[2, 2])), "'first' claims 24 bytes"),
    "overlap": (as_file(changed("second", data_offsets=[16, 24])), "'second' at byte 16 overlaps"),
    "hole": (as_file(changed("second", data_offsets=[28, 36]), bytes(36)), "at byte 28 leaves a hole"),
    "bytes_left_over": (as_file(GOOD, bytes(33)), "1 bytes follow the last tensor"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refusal:
        read_tensors(path)
    assert said in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value)) < 1000


def test_the_undamaged_file_of_these_tests_is_read(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(as_file(GOOD, np.arange(6, dtype="<f4").tobytes() + np.int64(7).tobytes()))
    tensors = read_tensors(path)
    assert tensors["first"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["second"].tolist() == [7]


def test_random_mutations_are_read_or_refused_but_never_crash(tmp_path):
    rng = np.random.default_rng(0)
    good, path = as_file({"__metadata__": {"format": "pt"}, **GOOD}), tmp_path / "model.safetensors"
    outcomes = {"read": 0, "refused": 0}
    for _ in range(1500):
        content = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(len(content))
            kind = rng.integers(3)
            if kind == 0:
                content[place] = rng.integers(256)
            elif kind == 1:
                del content[place : place + rng.integers(1, 9)]
            else:
                content[place:place] = rng.bytes(rng.integers(1, 9))
        path.write_bytes(content)
        try:
            tensors = read_tensors(path)
            assert all(tensors[name].shape == shape for name, shape in tensors.shapes.items())
            outcomes["read"] += 1
        except CheckpointError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10, outcomes


def test_every_dtype_survives_writing_and_reading(tmp_path):
    arrays = {
        dtype: np.arange(6).reshape(2, 3).astype(dtype)
        for dtype in ("float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "int32", "int16", "int8",
                      "uint64", "uint32", "uint16", "uint8", "bool")
    }  # fmt: skip
    arrays = {np.dtype(dtype).name: array for dtype, array in arrays.items()}
    write_tensors(tmp_path / "model.safetensors", arrays)
    tensors = read_tensors(tmp_path / "model.safetensors")
    assert tensors.dtypes == {name: name for name in arrays}
    for name, array in arrays.items():
        assert tensors[name].dtype == array.dtype
        assert tensors[name].tobytes() == array.tobytes()


def test_a_scalar_has_the_empty_shape(tmp_path):
    write_tensors(tmp_path / "model.safetensors", {"scalar": np.float32(2.5)})
    tensors = read_tensors(tmp_path / "model.safetensors")
    assert tensors.shapes == {"scalar": ()}
    assert tensors["scalar"] == 2.5


def test_a_transposed_view_is_written_as_it_reads(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    write_tensors(tmp_path / "model.safetensors", {"turned": array})
    np.testing.assert_array_equal(read_tensors(tmp_path / "model.safetensors")["turned"], array)


def test_the_safetensors_package_reads_what_we_write(tmp_path):
    path, array = tmp_path / "model.safetensors", np.arange(12, dtype=np.float32).reshape(3, 4).T
    write_tensors(path, {"turned": array})
    np.testing.assert_array_equal(safetensors.numpy.load_file(path)["turned"], array)
    with safe_open(path, "np") as theirs:
        assert theirs.metadata() == {"format": "pt"}


def test_names_and_shapes_of_a_huge_file_cost_its_header_only(tmp_path):
    path, size = tmp_path / "model.safetensors", 2**34
    header = json.dumps({"huge": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with open(path, "wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + size)  # sparse: takes no room on the disk
    assert read_tensors(path).shapes == {"huge": (size,)}


def test_a_tensor_at_an_odd_byte_is_handed_out_aligned(tmp_path):
    path = tmp_path / "model.safetensors"
    header = {
        "byte": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "number": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
    }
    path.write_bytes(as_file(header, b"\1" + np.array([1, 2], "<f4").tobytes()))
    number = read_tensors(path)["number"]
    assert number.tolist() == [1, 2] and number.flags.aligned


def test_tensors_cannot_be_written_to_by_accident(tmp_path):
    write_tensors(tmp_path / "model.safetensors", {"a": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match="read-only"):
        read_tensors(tmp_path / "model.safetensors")["a"][0] = 1


def test_shards_read_as_one_file(tmp_path):
    index = shards(tmp_path)
    tensors = read_tensors(index)
    assert tensors.shapes == {"a": (2,), "b": (3,)}
    assert tensors.dtypes == {"a": "float32", "b": "float16"}
    assert tensors["b"].tolist() == [1, 1, 1] and len(tensors) == 2 and "c" not in tensors


@pytest.mark.parametrize(
    ("weight_map", "said"),
    [
        ({"a": "../one.safetensors", "b": "two.safetensors"}, "weight_map"),
        ({"a": "/one.safetensors", "b": "two.safetensors"}, "weight_map"),
        ({"a": "one.bin", "b": "two.safetensors"}, "weight_map"),
        ({"a": ["one.safetensors"], "b": "two.safetensors"}, "weight_map"),
        (["one.safetensors"], "weight_map"),
        ({"a": "one.safetensors", "b": "three.safetensors"}, "three.safetensors"),
        ({"a": "two.safetensors", "b": "two.safetensors"}, "disagree about"),
        (
            {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"},
            "disagree about 1 tensors",
        ),
    ],
)
def test_an_index_that_is_no_map_of_files_beside_it_is_refused(tmp_path, weight_map, said):
    index = shards(tmp_path, weight_map)
    with pytest.raises(CheckpointError, match=said):
        read_tensors(index)


def shards(folder, weight_map=None):
    """Two shards and their index."""
    write_tensors(folder / "one.safetensors", {"a": np.zeros(2, np.float32)})
    write_tensors(folder / "two.safetensors", {"b": np.ones(3, np.float16)})
    weight_map = {"a": "one.safetensors", "b": "two.safetensors"} if weight_map is None else weight_map
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index
