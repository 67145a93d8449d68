import gzip
import os
import pathlib
import tracemalloc

import fuzz_hdf5_file as fuzz
import h5py
import keras
import ml_dtypes
import numpy as np
import pytest

from keras_bert.checkpoints import hdf5_bytes
from keras_bert.checkpoints.hdf5_file import Hdf5File
from keras_bert.errors import CheckpointError

LAYOUTS = pathlib.Path(__file__).parents[1] / "golden" / "layouts"
GOLDEN = sorted([*LAYOUTS.glob("*/*.h5"), *LAYOUTS.glob("*/*.weights")])
DTYPES = ("float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "int32", "int16", "int8", "uint64",
          "uint32", "uint16", "uint8")  # fmt: skip
ROWS = np.arange(35, dtype="float32").reshape(7, 5)
OLD, NEW = ("earliest", "v110"), ("latest", "latest")


def write(path, arrays, version=OLD, **options):
    """A file of h5py's making."""
    with h5py.File(path, "w", libver=version) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **options)
    return path


def same_as_h5py(path):
    """Whether every dataset reads as h5py reads it; how many there are."""
    ours, theirs = Hdf5File(path), {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: theirs.update({name: item[()]} if hasattr(item, "shape") else {}))
    assert set(ours) == {name.removesuffix(":0") for name in theirs}
    for name, array in theirs.items():
        found = ours[name.removesuffix(":0")]
        assert found.shape == array.shape and found.tobytes() == array.tobytes(), name
    assert ours.shapes == {name: ours[name].shape for name in ours}
    return len(theirs)


def refused(path, *words):
    with pytest.raises(CheckpointError) as refusal:
        for array in Hdf5File(path).values():
            assert array is not None
    assert str(path) in str(refusal.value) and len(str(refusal.value)) < 1500
    assert all(word in str(refusal.value) for word in words), refusal.value


# What Keras and h5py wrote


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_files_of_every_library_read_as_h5py_reads_them(path):
    assert same_as_h5py(path) >= 4
    assert len(GOLDEN) >= 9


def test_names_are_paths_without_the_last_zero():
    file = Hdf5File(LAYOUTS / "hf4_tf_classification" / "tf_model.h5")
    name = "bert/tf_bert_for_sequence_classification/bert/encoder/layer_._0/attention/self/query/kernel"
    assert file.shapes[name] == (8, 8) and file.dtypes[name] == "float32"
    assert "classifier/tf_bert_for_sequence_classification/classifier/bias" in file
    assert f"{name}:0" not in file and len(file) == 25


def test_the_order_counts_layers_as_numbers(tmp_path):
    names = [f"dense_{i}/kernel" for i in (10, 9, 1, 100)]
    assert list(Hdf5File(write(tmp_path / "a.h5", dict.fromkeys(names, ROWS)))) == [
        "dense_1/kernel", "dense_9/kernel", "dense_10/kernel", "dense_100/kernel",
    ]  # fmt: skip


@pytest.mark.parametrize("version", [OLD, NEW])
def test_every_dtype_and_a_scalar_read_as_they_were_saved(tmp_path, version):
    arrays = {np.dtype(dtype).name: np.arange(6).reshape(2, 3).astype(dtype) for dtype in DTYPES}
    file = Hdf5File(write(tmp_path / "a.h5", {**arrays, "scalar": np.float32(2.5)}, version))
    for name, array in arrays.items():
        assert file[name].dtype == array.dtype and file[name].tobytes() == array.tobytes()
        assert file.dtypes[name] == name
    assert file["scalar"].shape == () and file["scalar"] == 2.5


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("count", [0, 1, 8, 9, 40, 400, 1500])
def test_groups_of_any_size_are_read(tmp_path, version, count):
    arrays = {f"layer_with_a_name_{i * 7919 % count}": np.float32(i) for i in range(count)}
    assert same_as_h5py(write(tmp_path / "a.h5", arrays, version)) == count


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("chunk", [(7, 5), (3, 2), (1, 1)])
@pytest.mark.parametrize("times", [1, 30])
def test_chunks_are_put_together_and_unpacked(tmp_path, chunk, compression, shuffle, times):
    rows = np.tile(ROWS, (times, 1)) + np.arange(7 * times, dtype="float32")[:, None]
    path = write(tmp_path / "a.h5", {"a": rows}, chunks=chunk, compression=compression, shuffle=shuffle)
    assert same_as_h5py(path) == 1


def test_keras_3_reads_the_same(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    model.save_weights(tmp_path / "a.weights.h5")
    file = Hdf5File(tmp_path / "a.weights.h5")
    kernel, bias, *_ = model.get_weights()
    assert (file["layers/dense/vars/0"] == kernel).all() and (file["layers/dense/vars/1"] == bias).all()


def test_a_file_of_the_whole_model_is_read_below_its_weights(tmp_path):
    arrays = {"model_weights/dense/dense/kernel:0": ROWS, "optimizer_weights/adam/dense/kernel:0": ROWS}
    assert list(Hdf5File(write(tmp_path / "a.h5", arrays))) == ["dense/dense/kernel"]


def test_long_attributes_cut_in_pieces_do_not_matter(tmp_path):
    names = [f"dense/{'long' * 50}_{i}/kernel:0" for i in range(400)]
    path = write(tmp_path / "a.h5", {f"dense/{name}": np.float32(i) for i, name in enumerate(names)})
    with h5py.File(path, "r+") as file:
        for part in range(2):
            file["dense"].attrs[f"weight_names{part}"] = [n.encode() for n in names[part * 200 :][:200]]
    assert same_as_h5py(path) == 400


def test_arrays_are_mapped_and_cannot_be_written_to(tmp_path):
    path = write(tmp_path / "a.h5", {"big": np.zeros((4096, 1024), "float32")})
    tracemalloc.start()
    big = Hdf5File(path)["big"]
    assert big.shape == (4096, 1024) and tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    with pytest.raises(ValueError, match="read-only"):
        big[0, 0] = 1


def test_arrays_are_aligned_wherever_they_lie(tmp_path):
    file = Hdf5File(write(tmp_path / "a.h5", {"byte": np.int8(1), "rows": ROWS}, NEW))
    assert file["rows"].flags.aligned and (file["rows"] == ROWS).all()


# What is refused


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"\x89HDF", "4 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n  <html>", "web page"),
        (b"PK\3\4" + bytes(60), "zip"),
        (gzip.compress(b"x" * 99, mtime=0), "gzip"),
        ((99).to_bytes(8, "little") + b'{"a":', "safetensors"),
        (b"\x80\x02}q", "pickle"),
        (b'{"error":1}', "JSON"),
    ],
)
def test_what_is_no_hdf5_file_is_named(tmp_path, data, words):
    (tmp_path / "tf_model.h5").write_bytes(data)
    refused(tmp_path / "tf_model.h5", words)


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "a.h5", "No such file")


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_cut_file_is_refused_at_every_length(tmp_path, version):
    data = write(tmp_path / "a.h5", {f"layer_{i}/kernel": ROWS for i in range(10)}, version).read_bytes()
    for length in [*range(0, 600, 7), *range(600, len(data), 997), len(data) - 1]:
        (tmp_path / "cut.h5").write_bytes(data[:length])
        refused(tmp_path / "cut.h5")
    refused(tmp_path / "cut.h5", "is cut", f"{len(data) - 1} bytes are there, it had {len(data)}")


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("count", [0, 20])
def test_links_that_are_not_to_an_object_here_are_refused(tmp_path, version, count):
    for kind, link in (("a soft", h5py.SoftLink("/x")), ("an external", h5py.ExternalLink("other.h5", "/x"))):
        path = write(tmp_path / "a.h5", {"x": ROWS, **{f"y{i}": ROWS for i in range(count)}}, version)
        with h5py.File(path, "r+", libver=version) as file:
            file["link"] = link
        refused(path, "link", "do not use the file", *([kind] if kind == "a soft" or version == NEW else []))


@pytest.mark.parametrize("version", [OLD, NEW])
def test_ways_that_lead_round_are_refused(tmp_path, version):
    path = write(tmp_path / "a.h5", {"group/x": ROWS}, version)
    with h5py.File(path, "r+", libver=version) as file:
        file["group/again"] = file["group"]
    refused(path, "Two ways")
    path = write(tmp_path / "b.h5", {"x": ROWS}, version)
    with h5py.File(path, "r+", libver=version) as file:
        file["y"] = file["x"]
    refused(path, "Two ways")


def test_numbers_in_other_files_are_refused(tmp_path):
    path = write(tmp_path / "a.h5", {"x": ROWS})
    with h5py.File(path, "r+") as file:
        file.create_dataset("secret", (4,), "uint8", external=[("/etc/passwd", 0, 4)])
    refused(path, "secret", "other file", "do not use")
    layout = h5py.VirtualLayout((2,), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_virtual_dataset("virtual", layout)
    refused(tmp_path / "b.h5", "virtual", "other datasets")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("variable length", h5py.string_dtype()),
        ("variable length", h5py.vlen_dtype("float32")),
        ("reference", h5py.ref_dtype),
        ("compound", [("a", "f4"), ("b", "i4")]),
        ("float", ">f4"),
        ("integer", ">i8"),
        ("opaque", "V6"),
        ("string", "S5"),
        ("enumeration", "?"),
        ("array", "(2,)f4"),
        ("float", np.longdouble),
    ],
)
def test_what_is_no_number_of_a_weight_is_refused_by_its_class(tmp_path, name, dtype):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2,), h5py.h5t.py_create(np.dtype(dtype), logical=True))
    refused(tmp_path / "a.h5", "'x'", f"class {name}")


def test_a_dtype_that_is_kept_elsewhere_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kept"] = np.dtype("float32")
        file.create_dataset("x", data=ROWS, dtype=file["kept"])
        del file["kept"]
    refused(tmp_path / "a.h5", "leaves what it says to another")


def test_arrays_without_numbers_are_refused(tmp_path):
    for array in (h5py.Empty("float32"), np.zeros((0, 3), "float32")):
        refused(write(tmp_path / "a.h5", {"x": array}), "'x'", "shape")


def test_other_filters_are_refused_by_number(tmp_path):
    refused(write(tmp_path / "a.h5", {"x": ROWS}, chunks=(7, 5), fletcher32=True), "3", "gzip (1)")
    refused(write(tmp_path / "a.h5", {"x": ROWS}, chunks=(7, 5), compression="lzf"), "32000")
    refused(write(tmp_path / "a.h5", {"x": ROWS.astype(int)}, chunks=(7, 5), scaleoffset=3), "6")


def test_numbers_that_were_never_written_are_refused(tmp_path):
    for name, options in {"whole": {}, "chunks": {"chunks": (10, 10)}}.items():
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset(name, (100, 100), "float32", **options)
        refused(tmp_path / "a.h5", name)


def test_bombs_are_refused(tmp_path):
    bomb = write(
        tmp_path / "a.h5", {"x": np.zeros((3000, 3000), "float32")}, chunks=(3000, 3000), compression="gzip"
    )
    assert os.path.getsize(bomb) < 50_000
    refused(bomb, "claims 36000000 bytes")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("x", (2**40, 2**20), "float32", chunks=(2**10, 2**10))
    refused(tmp_path / "b.h5", "shape")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        data = file.create_dataset("x", (5, 5), "float32", chunks=(5, 5), compression="gzip")
        data.id.write_direct_chunk((0, 0), gzip.zlib.compress(bytes(10**7)))
    tracemalloc.start()
    refused(tmp_path / "c.h5", "a chunk does not have 100 bytes")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_two_tensors_in_one_place_are_refused(tmp_path):
    path = write(tmp_path / "a.h5", {"x": ROWS, "y": ROWS + 1})
    with h5py.File(path, "r") as file:
        x, y = (file[name].id.get_offset().to_bytes(8, "little") for name in "xy")
    path.write_bytes(path.read_bytes().replace(y, x))
    refused(path, "overlaps")


def test_a_driver_a_base_address_or_an_unclosed_file_are_refused(tmp_path):
    healthy = write(tmp_path / "a.h5", {"x": ROWS}).read_bytes()
    for at, number, words in ((48, 96, "driver"), (24, 512, "start at 512"), (8, 9, "version 9")):
        data = bytearray(healthy)
        data[at : at + 1 + 7 * (at > 8)] = number.to_bytes(1 + 7 * (at > 8), "little")
        (tmp_path / "b.h5").write_bytes(data)
        refused(tmp_path / "b.h5", words)
    data = bytearray(write(tmp_path / "a.h5", {"x": ROWS}, NEW).read_bytes())
    data[11] |= 1
    (tmp_path / "b.h5").write_bytes(data)
    refused(tmp_path / "b.h5", "being written")


def test_a_file_without_end_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", {f"layer_{i}": ROWS for i in range(100)})
    monkeypatch.setattr(hdf5_bytes, "MAX_STEPS", 300)
    refused(path, "too many objects")


def test_a_thousand_damaged_files_are_read_or_refused(tmp_path):
    seeds = fuzz.write_seeds(tmp_path)
    outcomes = fuzz.run(tmp_path, seeds, range(1000))
    assert not outcomes["slow"] and outcomes["read"] > 100 and outcomes["refused"] > 300
