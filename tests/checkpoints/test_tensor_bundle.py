import os
import random
import time
import tracemalloc

import fuzz_tensor_bundle as fuzz
import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.checkpoints import sstable
from keras_bert.checkpoints.bundle_files import find_bundles
from keras_bert.checkpoints.object_graph import OBJECT_GRAPH, object_graph_names
from keras_bert.checkpoints.protobuf_wire import bytes_field, int_field, varint
from keras_bert.checkpoints.tensor_bundle import TensorBundle, write_bundle
from keras_bert.errors import CheckpointError
from keras_bert.files.crc32c import masked_crc32c

HEADER = int_field(1, 1) + bytes_field(3, int_field(1, 1))
ROWS = np.arange(12, dtype=np.float32).reshape(6, 2)
DTYPES = ("float64", "float32", "float16", ml_dtypes.bfloat16, "int64", "int32", "int16", "int8", "uint64",
          "uint32", "uint16", "uint8", "bool", "complex64", "complex128")  # fmt: skip


def save(prefix, tensors, slices=None):
    """Writes a checkpoint with TensorFlow, from a dict or pairs."""
    pairs = list(tensors.items()) if isinstance(tensors, dict) else tensors
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=[name for name, _ in pairs],
        shape_and_slices=slices or [""] * len(pairs),
        tensors=[tf.constant(value) for _, value in pairs],
    )
    return prefix


def entry(dtype=1, sizes=(2,), shard=0, offset=0, size=8, more=b""):
    """The message of an entry, whether it makes sense or not."""
    shape = b"".join(bytes_field(2, b"\x08" + as_int64(n)) for n in sizes)
    numbers = b"".join(bytes([8 * n]) + as_int64(v) for n, v in ((3, shard), (4, offset), (5, size)) if v)
    return int_field(1, dtype) + bytes_field(2, shape) + numbers + more


def as_int64(value):
    return varint(value % 2**64)


def lay_out(folder, entries=None, header=HEADER, data=bytes(8), pairs=None):
    """A checkpoint of these entries or pairs, and this data file."""
    pairs = [(b"", header), *(entries or {}).items()] if pairs is None else pairs
    (folder / "model.ckpt.index").write_bytes(sstable.write_table(pairs))
    (folder / "model.ckpt.data-00000-of-00001").write_bytes(data)
    return folder / "model.ckpt"


def refusal_of(action) -> str:
    with pytest.raises(CheckpointError) as refusal:
        action()
    assert len(str(refusal.value)) < 1500
    return str(refusal.value)


# What TensorFlow wrote


def test_the_google_fixture_reads_as_tensorflow_reads_it(data_folder):
    prefix = data_folder / "tf1_checkpoint_fixture" / "bert_model.ckpt"
    ours, theirs = TensorBundle(prefix, verify=True), tf.train.load_checkpoint(str(prefix))
    assert ours.shapes == {name: tuple(n) for name, n in theirs.get_variable_to_shape_map().items()}
    assert ours.dtypes == {
        n: d.as_numpy_dtype.__name__ for n, d in theirs.get_variable_to_dtype_map().items()
    }
    assert len(ours) > 100
    for name, array in ours.items():
        assert array.tobytes() == theirs.get_tensor(name).tobytes()


def test_the_google_fixture_is_written_back_byte_for_byte(data_folder, tmp_path):
    folder = data_folder / "tf1_checkpoint_fixture"
    write_bundle(tmp_path / "bert_model.ckpt", TensorBundle(folder / "bert_model.ckpt"))
    for written in tmp_path.iterdir():
        assert written.read_bytes() == (folder / written.name).read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_every_dtype_reads_as_it_was_saved(tmp_path):
    arrays = {np.dtype(d).name: np.arange(6).reshape(2, 3).astype(d) for d in DTYPES}
    bundle = TensorBundle(save(tmp_path / "model.ckpt", arrays), verify=True)
    assert bundle.dtypes == {name: name for name in arrays}
    assert bundle.shapes == dict.fromkeys(arrays, (2, 3))
    for name, array in arrays.items():
        assert bundle[name].dtype == array.dtype
        assert bundle[name].tobytes() == array.tobytes()
    assert len(bundle) == len(arrays) and "float32" in bundle and "other" not in bundle


def test_strings_scalars_and_empty_tensors_read_as_they_were_saved(tmp_path):
    long = b"x" * 300
    arrays = {"scalar": np.float32(2.5), "empty": np.zeros((0, 3), np.float32), "none": np.zeros(0, object)}
    save(tmp_path / "a", {**arrays, "text": [[b"", long], [b"\xff\0", b"b"]], "one": b"word"})
    bundle = TensorBundle(tmp_path / "a", verify=True)
    assert bundle["scalar"].shape == () and bundle["scalar"] == 2.5
    assert bundle["empty"].shape == (0, 3) and bundle["empty"].dtype == np.float32
    assert bundle["none"].shape == (0,)
    assert bundle["text"].tolist() == [[b"", long], [b"\xff\0", b"b"]]
    assert bundle["one"].item() == b"word" and bundle.dtypes["one"] == "object"


def test_the_index_file_itself_names_the_checkpoint(tmp_path):
    save(tmp_path / "a", {"rows": ROWS})
    assert TensorBundle(tmp_path / "a.index")["rows"].tolist() == ROWS.tolist()


def test_tensors_are_mapped_aligned_and_cannot_be_written_to(tmp_path):
    save(tmp_path / "a", [("byte", np.uint8(1)), ("rows", ROWS)])
    rows = TensorBundle(tmp_path / "a")["rows"]
    assert rows.flags.aligned and rows.tolist() == ROWS.tolist()
    with pytest.raises(ValueError, match="read-only"):
        TensorBundle(save(tmp_path / "b", {"rows": ROWS}))["rows"][0] = 1


@pytest.mark.parametrize("axis", [0, 1])
def test_a_partitioned_variable_is_put_together(tmp_path, axis):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        cut = tf.compat.v1.fixed_size_partitioner(3, axis=axis)
        random_start = tf.compat.v1.random_uniform_initializer(seed=0)
        table = tf.compat.v1.get_variable("table", (200, 90), initializer=random_start, partitioner=cut)
        tf.compat.v1.get_variable("other", initializer=ROWS)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), write_meta_graph=False)
        expected = session.run(tf.convert_to_tensor(table))
    bundle = TensorBundle(tmp_path / "model.ckpt", verify=True)
    assert bundle.shapes == {"table": (200, 90), "other": (6, 2)}
    np.testing.assert_array_equal(bundle["table"], expected)
    np.testing.assert_array_equal(bundle["other"], ROWS)


def test_slices_beyond_8192_rows_are_found(tmp_path):
    """Their keys hold numbers of one, two and three bytes."""
    table = np.arange(20_000, dtype=np.int32).reshape(20_000, 1)
    bounds = [0, 63, 64, 8191, 8192, 20_000]
    pairs = [("t", table[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]
    slices = [f"20000 1 {a},{b - a}:0,1" for a, b in zip(bounds, bounds[1:], strict=False)]
    save(tmp_path / "a", pairs, slices)
    np.testing.assert_array_equal(TensorBundle(tmp_path / "a")["t"], table)


def test_several_data_files_read_as_one(tmp_path):
    bundle = TensorBundle(shards(tmp_path), verify=True)
    assert bundle.shapes == {"a": (6, 2), "b": (3,)}
    assert bundle["a"].tolist() == ROWS.tolist() and bundle["b"].tolist() == [7, 8, 9]


def test_the_names_of_a_keras_models_variables_are_found(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="pooler")])
    variable = tf.Variable(ROWS, name="bert/word_embeddings")
    tf.train.Checkpoint(model=model, table=variable).write(str(tmp_path / "a"))
    bundle = TensorBundle(tmp_path / "a")
    names = object_graph_names(bundle)
    assert names["table/.ATTRIBUTES/VARIABLE_VALUE"] == "bert/word_embeddings"
    assert set(names) <= set(bundle) and OBJECT_GRAPH not in names
    [kernel] = [key for key in names if "kernel" in key]
    np.testing.assert_array_equal(bundle[kernel], model.get_layer("pooler").kernel)


def test_a_saved_model_holds_a_checkpoint_that_is_found_and_read(tmp_path):
    module = tf.Module()
    module.table = tf.Variable(ROWS, name="table")
    tf.saved_model.save(module, str(tmp_path))
    [prefix] = find_bundles(tmp_path)
    bundle = TensorBundle(prefix)
    [key] = object_graph_names(bundle)
    assert bundle[key].tolist() == ROWS.tolist()


def test_a_checkpoint_without_objects_names_no_variables(tmp_path):
    assert object_graph_names(TensorBundle(save(tmp_path / "a", {"rows": ROWS}))) == {}


# What we write


def test_tensorflow_reads_what_we_write(tmp_path):
    arrays = {f"x/{np.dtype(d).name}": np.arange(6).reshape(3, 2).astype(d).T for d in DTYPES}
    arrays |= {"scalar": np.int64(7), "empty": np.zeros((2, 0), np.float32), "big": ROWS.astype(">f4")}
    write_bundle(tmp_path / "model.ckpt", arrays)
    reader = tf.train.load_checkpoint(str(tmp_path / "model.ckpt"))
    assert reader.get_variable_to_shape_map().keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(reader.get_tensor(name), array)


@pytest.mark.parametrize("form", ["bert/{text}_{i}", "bert/{i:07}_{text}"])
@pytest.mark.parametrize("num_tensors", [0, 1, 16, 17, 600, 4000])
def test_files_are_those_that_tensorflow_writes(tmp_path, num_tensors, form):
    """4,000 long names make an index of several blocks, cut between names that differ much or in a digit."""
    rng = random.Random(num_tensors)
    arrays = {
        form.format(i=i, text="".join(rng.choices("ab/é", k=rng.randint(0, 110)))): np.full(
            i % 5, i % 99, DTYPES[i % 8]
        )
        for i in range(num_tensors)
    }
    names = sorted(arrays, key=str.encode)
    if names:
        save(tmp_path / "theirs", {name: arrays[name] for name in names})
    else:
        tf.train.Checkpoint().write(str(tmp_path / "theirs"))  # it has the graph of objects at least
    write_bundle(tmp_path / "ours", dict(sorted(arrays.items(), key=lambda item: rng.random())))
    for suffix in (".index", ".data-00000-of-00001"):
        theirs = (tmp_path / f"theirs{suffix}").read_bytes()
        assert (tmp_path / f"ours{suffix}").read_bytes() == theirs or not names
    assert list(TensorBundle(tmp_path / "ours", verify=True)) == names
    if num_tensors == 4000:
        assert (tmp_path / "ours.index").stat().st_size > sstable.BLOCK_BYTES


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"a": np.array(["text"])}, "dtype"),
        ({"a": np.array([b"text"], object)}, "dtype"),
        ({"a": np.array([1, 2], "datetime64[s]")}, "dtype"),
        ({"": ROWS}, "name ''"),
        ({"a\0b": ROWS}, "name 'a"),
        ({"\ud800": ROWS}, "name"),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_refused_and_nothing_is_written(tmp_path, tensors, said):
    assert said in refusal_of(lambda: write_bundle(tmp_path / "a", tensors))
    assert list(tmp_path.iterdir()) == []


# Files that are missing, cut, interchanged, linked


def shards(folder):
    save(folder / "one", {"a": ROWS})
    save(folder / "two", {"b": np.array([7, 8, 9])})
    parts = [str(folder / "one"), str(folder / "two")]
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=parts, destination_prefix=str(folder / "all"), delete_old_dirs=False
    )
    return folder / "all"


def test_a_missing_data_file_is_named(tmp_path):
    prefix = shards(tmp_path)
    (tmp_path / "all.data-00001-of-00002").unlink()
    said = refusal_of(lambda: TensorBundle(prefix))
    assert "all.data-00001-of-00002" in said and "missing" in said


def test_interchanged_data_files_are_refused(tmp_path):
    prefix, one, two = shards(tmp_path), "all.data-00000-of-00002", "all.data-00001-of-00002"
    os.rename(tmp_path / one, tmp_path / "aside")
    os.rename(tmp_path / two, tmp_path / one)
    os.rename(tmp_path / "aside", tmp_path / two)
    assert one in refusal_of(lambda: TensorBundle(prefix))


@pytest.mark.parametrize(
    ("length", "said"), [(47, "claims the bytes 0 to 48"), (49, "49 bytes"), (0, "'rows'")]
)
def test_a_data_file_of_another_length_is_refused(tmp_path, length, said):
    prefix = save(tmp_path / "a", {"rows": ROWS})
    os.truncate(tmp_path / "a.data-00000-of-00001", length)
    assert said in refusal_of(lambda: TensorBundle(prefix))


@pytest.mark.parametrize("file", ["a.index", "a.data-00000-of-00001"])
def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path, file):
    home = tmp_path / "home"
    home.mkdir()
    prefix = save(home / "a", {"rows": ROWS})
    os.rename(home / file, home / "aside")
    (home / file).symlink_to("aside")
    assert TensorBundle(prefix)["rows"].tolist() == ROWS.tolist()
    (home / file).unlink()
    os.rename(home / "aside", tmp_path / "outside")
    (home / file).symlink_to("../outside")
    assert "leads out of its folder" in refusal_of(lambda: TensorBundle(prefix))


def test_links_of_a_download_cache_are_followed(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir(), snapshot.mkdir(parents=True)
    for written in save(blobs / "a", {"rows": ROWS}).parent.iterdir():
        (snapshot / written.name).symlink_to(f"../../blobs/{written.name}")
    assert TensorBundle(snapshot / "a")["rows"].tolist() == ROWS.tolist()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink(path.name, path)])
def test_what_is_no_plain_file_is_refused_without_opening_it(tmp_path, make):
    for file in ("a.index", "a.data-00000-of-00001"):
        prefix = save(tmp_path / "a", {"rows": ROWS})
        (tmp_path / file).unlink()
        make(tmp_path / file)
        assert file in refusal_of(lambda prefix=prefix: TensorBundle(prefix))
        os.rename(tmp_path / file, tmp_path / "aside")


def test_a_checkpoint_of_the_format_before_2017_is_refused_with_a_way_out(tmp_path):
    old = tmp_path / "bert_model.ckpt"
    tf.raw_ops.Save(filename=str(old), tensor_names=["rows"], data=[tf.constant(ROWS)])
    said = refusal_of(lambda: TensorBundle(old))
    assert "V1" in said and "tf.train.load_checkpoint" in said
    assert find_bundles(tmp_path) == [old]
    reader = tf.train.load_checkpoint(str(old))
    write_bundle(
        tmp_path / "new", {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    )
    assert TensorBundle(tmp_path / "new")["rows"].tolist() == ROWS.tolist()


def test_a_path_without_a_checkpoint_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path, "", ".", tmp_path / ("x" * 300)):
        refusal_of(lambda path=path: TensorBundle(path))


def test_a_flipped_bit_is_found_where_checking_is_asked_for(tmp_path):
    prefix = save(tmp_path / "a", [("rows", ROWS), ("text", b"word")])
    data = tmp_path / "a.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1] + b"D")
    assert TensorBundle(prefix)["text"].item() == b"worD"
    bundle = TensorBundle(prefix, verify=True)
    assert bundle["rows"].tolist() == ROWS.tolist()
    said = refusal_of(lambda: bundle["text"])
    assert "checksum" in said and "'text'" in said
    content = bytearray(data.read_bytes())
    content[5] ^= 1
    data.write_bytes(content)
    assert "'rows'" in refusal_of(lambda: TensorBundle(prefix, verify=True)["rows"])


# Messages that contradict themselves


SLICE = bytes_field(7, bytes_field(1, b"\x10\1"))  # the first entry of an axis
SLICE_KEY = b"\0a\0\1\1\1\x80\x81"
REFUSED = {
    "no_header": ({"pairs": [(b"a", entry())]}, "no header"),
    "no_shards": ({"header": b""}, "claims 0 data files"),
    "a_million_shards": ({"header": int_field(1, 10**6)}, "claims 1000000 data files"),
    "big_endian": ({"header": int_field(1, 1) + int_field(2, 1)}, "big-endian"),
    "newer_format": ({"header": int_field(1, 1) + bytes_field(3, int_field(2, 2))}, "reader of version 2"),
    "header_of_another_message": ({"header": bytes_field(1, b"x")}, "`num_shards` is of another type"),
    "unknown_dtype": ({"entries": {b"a": entry(dtype=99)}}, "'a' has the dtype 99"),
    "reference_dtype": ({"entries": {b"a": entry(dtype=101)}}, "'a' has the dtype 101"),
    "no_dtype": ({"entries": {b"a": entry(dtype=0)}}, "'a' has the dtype 0"),
    "negative_axis": ({"entries": {b"a": entry(sizes=(-2, -1))}}, "unknown, negative or too large"),
    "huge_axis": ({"entries": {b"a": entry(sizes=(2**62, 4))}}, "unknown, negative or too large"),
    "huge_beside_an_empty_axis": (
        {"entries": {b"a": entry(sizes=(0, 2**62), size=0)}},
        "unknown, negative or too large",
    ),
    "many_axes": ({"entries": {b"a": entry(sizes=(1,) * 33)}}, "unknown, negative or too large"),
    "unknown_rank": (
        {"entries": {b"a": int_field(1, 1) + bytes_field(2, int_field(3, 1))}},
        "unknown, negative or too large",
    ),
    "bytes_unlike_the_shape": ({"entries": {b"a": entry(sizes=(3,))}}, "'a' claims 8 bytes"),
    "another_shard": ({"entries": {b"a": entry(shard=1)}}, "lies in the data file 1"),
    "negative_shard": ({"entries": {b"a": entry(shard=-1)}}, "lies in the data file -1"),
    "negative_offset": ({"entries": {b"a": entry(offset=-8)}}, "claims the bytes -8 to 0"),
    "negative_size": ({"entries": {b"a": entry(offset=8, size=-8)}}, "claims the bytes 8 to 0"),
    "beyond_the_file": ({"entries": {b"a": entry(offset=1)}}, "claims the bytes 1 to 9"),
    "sum_beyond_64_bits": ({"entries": {b"a": entry(offset=2**63 - 1, size=2**63 - 1)}}, "claims the bytes"),
    "overlap": ({"entries": {b"a": entry(), b"b": entry()}}, "'b' at byte 0 overlaps the end of 'a'"),
    "hole": (
        {"entries": {b"a": entry(), b"b": entry(offset=9)}, "data": bytes(17)},
        "'b' at byte 9 leaves a hole after the end of 'a' at 8",
    ),
    "hole_at_the_beginning": ({"entries": {b"a": entry(offset=1)}, "data": bytes(9)}, "leaves a hole"),
    "bytes_left_over": ({"entries": {b"a": entry()}, "data": bytes(9)}, "9 bytes, the tensors end at 8"),
    "field_twice": ({"entries": {b"a": entry(more=int_field(5, 8))}}, "`size` stands there twice"),
    "field_of_another_type": ({"entries": {b"a": entry() + b"\x15\0\0\0\0"}}, "`shape` is of another type"),
    "cut_message": ({"entries": {b"a": entry()[:-1]}}, "cut off"),
    "field_beyond_the_message": ({"entries": {b"a": entry(more=b"\x3a\x7f")}}, "longer than what holds it"),
    "group": ({"entries": {b"a": entry(more=b"\x0b\x0c")}}, "wire type 3"),
    "field_0": ({"entries": {b"a": entry(more=b"\0\0")}}, "no field 0"),
    "number_beyond_64_bits": ({"entries": {b"a": entry(more=b"\x78" + b"\xff" * 9 + b"\x7f")}}, "64 bits"),
    "name_that_is_no_text": ({"entries": {b"\xff": entry()}}, "not UTF-8"),
    "slice_of_nothing": ({"entries": {SLICE_KEY: entry(sizes=(1,))}}, "1 slices belong to no tensor"),
    "slice_that_is_missing": ({"entries": {b"a": entry(size=0, more=SLICE)}}, "of the tensor 'a' is missing"),
    "slices_that_are_not_all": (
        {"entries": {SLICE_KEY: entry(sizes=(1,), size=4), b"a": entry(size=0, more=SLICE)}},
        "slices of the tensor 'a' do not make up the whole",
    ),
    "slice_of_another_dtype": (
        {"entries": {SLICE_KEY: entry(dtype=3, sizes=(1,), size=4), b"a": entry(size=0, more=SLICE)}},
        "missing, or of another dtype",
    ),
    "slice_of_slices": (
        {"entries": {SLICE_KEY: entry(sizes=(1,), size=0, more=SLICE), b"a": entry(size=0, more=SLICE)}},
        "missing, or of another dtype",
    ),
    "slice_beyond_the_tensor": (
        {"entries": {b"a": entry(size=0, more=bytes_field(7, bytes_field(1, b"\x08\1\x10\2")))}},
        "slice does not lie within",
    ),
    "slice_of_another_rank": (
        {"entries": {b"a": entry(size=0, more=bytes_field(7, bytes_field(1, b"") * 2))}},
        "slice does not lie within",
    ),
    "slices_of_a_scalar": (
        {"entries": {b"a": entry(sizes=(), size=0, more=bytes_field(7, b""))}},
        "has slices",
    ),
    "slices_and_bytes": ({"entries": {b"a": entry(more=SLICE)}}, "has slices"),
    "more_strings_than_bytes": ({"entries": {b"a": entry(dtype=7, sizes=(5,))}}, "9 for 5 strings"),
}  # fmt: skip


@pytest.mark.parametrize(("layout", "said"), REFUSED.values(), ids=REFUSED)
def test_an_index_that_contradicts_itself_or_the_data_is_refused_by_name(tmp_path, layout, said):
    prefix = lay_out(tmp_path, **layout)
    message = refusal_of(lambda: TensorBundle(prefix))
    assert said in message and str(tmp_path) in message


def test_the_sound_layout_of_these_tests_is_read(tmp_path):
    assert TensorBundle(lay_out(tmp_path, {b"a": entry()}))["a"].tolist() == [0, 0]
    halves = {b"\0a\0\1\1\1\x81\x81": entry(sizes=(1,), size=4, offset=4)}
    halves |= {SLICE_KEY: entry(sizes=(1,), size=4)}
    more = SLICE + bytes_field(7, bytes_field(1, b"\x08\1\x10\1"))
    halves = dict(sorted(halves.items())) | {b"a": entry(size=0, more=more)}
    data = np.array([1, 2], np.float32).tobytes()
    assert TensorBundle(lay_out(tmp_path, halves, data=data))["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("strings", "sizes"),
    [
        (b"\x08" + bytes(7), (1,)),
        (b"\x80" * 8, (1,)),
        (b"\1" + masked_crc32c(b"\1\0\0\0").to_bytes(4, "little") + b"abc", (1,)),
        (b"\4" + masked_crc32c(b"\4\0\0\0").to_bytes(4, "little") + b"abc", (1,)),
        (bytes(2**17), (2**16 + 1,)),
    ],
)
def test_strings_whose_lengths_are_wrong_are_refused(tmp_path, strings, sizes):
    entries = {b"a": entry(7, sizes, size=len(strings)), b"b": entry(sizes=(0,), offset=len(strings), size=0)}
    bundle = TensorBundle(lay_out(tmp_path, entries, data=strings))
    assert "'a'" in refusal_of(lambda: bundle["a"])
    assert bundle["b"].shape == (0,)


def test_the_state_of_an_iterator_is_listed_but_not_read(tmp_path):
    bundle = TensorBundle(lay_out(tmp_path, {b"a": entry(21, ())}))
    assert bundle.dtypes == {"a": "variant"}
    assert "iterator" in refusal_of(lambda: bundle["a"])


TWO_NAMES = b"".join(bytes_field(2, bytes_field(3, b"a") + bytes_field(2, name)) for name in (b"x", b"y"))


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (bytes_field(1, bytes_field(2, bytes_field(3, b"a") + bytes_field(2, b"\xff"))), "not UTF-8"),
        (bytes_field(1, TWO_NAMES), "named 'x' and 'y'"),
        (b"\x0a\x7f", "longer than what holds it"),
        (bytes(2**21 + 1), "at most"),
    ],
)  # fmt: skip
def test_a_damaged_graph_of_objects_is_refused(tmp_path, graph, said):
    bundle = with_graph(tmp_path, graph)
    assert said in refusal_of(lambda: object_graph_names(bundle))


def with_graph(folder, graph: bytes) -> TensorBundle:
    """A checkpoint of this graph of objects and a tensor `a`."""
    text = varint(len(graph)) + masked_crc32c(len(graph).to_bytes(4, "little")).to_bytes(4, "little") + graph
    entries = {OBJECT_GRAPH.encode(): entry(7, (), size=len(text)), b"a": entry(offset=len(text))}
    return TensorBundle(lay_out(folder, entries, data=text + bytes(8)))


def test_a_graph_of_objects_that_is_a_number_is_refused(tmp_path):
    bundle = TensorBundle(lay_out(tmp_path, {OBJECT_GRAPH.encode(): entry()}))
    assert "no string" in refusal_of(lambda: object_graph_names(bundle))


# Tables


def block_of(*pairs, restarts=(0,)):
    """A block of (shared, rest of the key, value)."""
    body = b"".join(varint(s) + varint(len(k)) + varint(len(v)) + k + v for s, k, v in pairs)
    return body + np.array([*restarts, len(restarts)], "<u4").tobytes()


GOOD_BLOCK = block_of((0, b"", HEADER), (0, b"a", entry()))
GOOD_META = block_of()
GOOD_TABLE = fuzz.as_table(GOOD_BLOCK, GOOD_META, block_of((0, b"b", varint(0) + varint(len(GOOD_BLOCK)))))


def table_of(block=GOOD_BLOCK, meta=GOOD_META, bound=b"b", handle=None):
    handle = varint(0) + varint(len(block)) if handle is None else handle
    return fuzz.as_table(block, meta, block_of((0, bound, handle)))


def compressed(kind):
    """The good table with its data block marked as compressed."""
    block = GOOD_BLOCK + bytes([kind])
    end = len(GOOD_BLOCK)
    return block + masked_crc32c(block).to_bytes(4, "little") + GOOD_TABLE[end + 5 :]


BAD_TABLES = {
    "empty": (b"", "no index of a TensorFlow checkpoint"),
    "cut": (GOOD_TABLE[:-1], "no index of a TensorFlow checkpoint"),
    "footer_alone": (GOOD_TABLE[-48:], "claims the bytes"),
    "bytes_before": (b"\0" + GOOD_TABLE, "checksum"),
    "bytes_before_the_footer": (GOOD_TABLE[:-48] + b"\0" + GOOD_TABLE[-48:], "The last block ends at byte"),
    "flipped_bit": (b"\1" + GOOD_TABLE[1:], "The checksum of the block at byte 0"),
    "snappy": (compressed(1), "compressed (Snappy)"),
    "unknown_compression": (compressed(9), "compressed (number 9)"),
    "too_large": (bytes(sstable.MAX_TABLE_BYTES) + GOOD_TABLE, "at most"),
    "no_restarts": (table_of(GOOD_BLOCK[:-4] + bytes(4)), "restarts"),
    "more_restarts_than_bytes": (table_of(GOOD_BLOCK[:-4] + b"\xff\xff\xff\xff"), "restarts"),
    "restart_within_a_pair": (table_of(block_of((0, b"", HEADER), restarts=(0, 3))), "restart"),
    "block_of_two_bytes": (table_of(b"\1\0"), "restarts"),
    "shares_more_than_there_is": (table_of(block_of((0, b"", HEADER), (1, b"a", b""))), "key at byte"),
    "value_beyond_the_block": (table_of(b"\0\0\x7f" + block_of()), "key at byte 0"),
    "names_out_of_order": (table_of(block_of((0, b"", HEADER), (0, b"b", b""), (0, b"a", b""))), "order"),
    "name_twice": (table_of(block_of((0, b"", HEADER), (0, b"a", entry()), (1, b"", entry()))), "order"),
    "name_above_the_bound": (table_of(bound=b"Z"), "out of its bounds"),
    "block_elsewhere": (table_of(handle=varint(3) + varint(9)), "end to end"),
    "block_beyond_the_file": (table_of(handle=varint(0) + varint(2**40)), "end to end"),
    "meta_block_that_holds_something": (table_of(meta=block_of((0, b"a", b""))), "meta block"),
}  # fmt: skip


@pytest.mark.parametrize(("table", "said"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_damaged_index_is_refused_by_name(tmp_path, table, said):
    prefix = lay_out(tmp_path)
    (tmp_path / "model.ckpt.index").write_bytes(table)
    assert said in refusal_of(lambda: TensorBundle(prefix))


def test_the_undamaged_index_of_these_tests_is_read(tmp_path):
    prefix = lay_out(tmp_path)
    (tmp_path / "model.ckpt.index").write_bytes(GOOD_TABLE)
    assert TensorBundle(prefix).shapes == {"a": (2,)}


def test_a_block_that_reaches_below_the_one_before_is_refused(tmp_path):
    """Its keys ascend, but TensorFlow would look for the first of them in the block before."""
    pairs = [(b"", HEADER), (b"a", entry()), (b"c", entry(offset=8)), (b"d", entry(offset=16))]
    one = block_of(*((0, k, v) for k, v in pairs[:2]))
    two = block_of(*((0, k, v) for k, v in pairs[2:]))
    for bound, fine in ((b"b", True), (b"c", False)):
        data = one + b"\0" + masked_crc32c(one + b"\0").to_bytes(4, "little") + two
        handles = [varint(0) + varint(len(one)), varint(len(one) + 5) + varint(len(two))]
        index = block_of((0, bound, handles[0]), (0, b"e", handles[1]))
        table = fuzz.as_table(data, GOOD_META, index)
        start = len(one) + 5
        checksum = masked_crc32c(two + b"\0").to_bytes(4, "little")
        table = table[: start + len(two) + 1] + checksum + table[start + len(two) + 5 :]
        prefix = lay_out(tmp_path, data=bytes(24))
        (tmp_path / "model.ckpt.index").write_bytes(table)
        if fine:
            assert list(TensorBundle(prefix)) == ["a", "c", "d"]
        else:
            assert "bounds" in refusal_of(lambda prefix=prefix: TensorBundle(prefix))


def bombs():
    """Indices just under the limit in bytes, each made to swell."""
    limit = sstable.MAX_TABLE_BYTES - 2000
    empty = int_field(1, 1) + bytes_field(2, bytes_field(2, b""))
    many = [(b"", HEADER), *((f"{i:07}".encode(), empty) for i in range(limit // 14))]
    yield "many_tensors", sstable.write_table(many[: sstable.MAX_PAIRS])
    yield "too_many_tensors", sstable.write_table(many)
    # Two bytes more each than the name before: the names grow, or fill the limit at once.
    growing = block_of((0, b"", HEADER), *((2 * i, b"aa", b"") for i in range(9_000)))
    yield (
        "growing_names",
        fuzz.as_table(growing, GOOD_META, block_of((0, b"b", varint(0) + varint(len(growing))))),
    )
    steps = ((400_000, i.to_bytes(2, "big"), b"") for i in range(1, 9_000))
    long = block_of((0, b"", HEADER), (0, b"a" * 400_000 + b"\0\0", b""), *steps)
    yield "long_names", fuzz.as_table(long, GOOD_META, block_of((0, b"b", varint(0) + varint(len(long)))))
    for name, field in (("unknown_fields", b"\x78\0"), ("slices", b"\x3a\0"), ("axes", None)):
        filler = field * (limit // 2) if field else bytes_field(2, b"\x12\0" * (limit // 2))
        yield name, sstable.write_table([(b"", HEADER), (b"a", int_field(1, 1) + filler)])
    yield "one_name", sstable.write_table([(b"", HEADER), (b"a" * limit, b"")])
    full = bytes_field(7, bytes_field(1, b""))
    shape = bytes_field(2, bytes_field(2, int_field(1, 1)))
    yield (
        "full_slices",
        sstable.write_table(
            [
                (b"", HEADER),
                (b"\0a\0\1\1\1\x80\x7f", b""),
                (b"a", int_field(1, 1) + shape + full * (limit // 4)),
            ]
        ),
    )
    small = block_of((0, b"a", b""))
    blocks = b"".join([small + b"\0" + masked_crc32c(small + b"\0").to_bytes(4, "little")] * (limit // 40))
    yield "many_blocks", fuzz.as_table(blocks, GOOD_META, block_of((0, b"b", b"\0\0")))


def test_no_index_costs_more_than_a_second(tmp_path):
    prefix = lay_out(tmp_path, data=b"")
    for name, table in bombs():
        assert len(table) <= sstable.MAX_TABLE_BYTES, name
        (tmp_path / "model.ckpt.index").write_bytes(table)
        start = time.process_time()
        outcome = opened(prefix)
        assert time.process_time() - start < 1, (name, outcome)


@pytest.mark.slow
def test_no_index_costs_more_than_64_megabytes(tmp_path):
    prefix = lay_out(tmp_path, data=b"")
    for name, table in bombs():
        (tmp_path / "model.ckpt.index").write_bytes(table)
        tracemalloc.start()
        outcome = opened(prefix)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 * 2**20, (name, outcome)


def opened(prefix) -> str:
    try:
        return f"{len(TensorBundle(prefix))} tensors"
    except CheckpointError as refusal:
        return str(refusal)[:150]


GRAPH_BOMBS = {
    "many_nodes": b"\x0a\0" * 2**20,
    "many_attributes": bytes_field(1, b"\x12\0" * (2**20 - 10)),
    "many_attributes_of_many_nodes": bytes_field(1, b"\x12\0" * 9_000) * 100,
    "many_unknown_fields": bytes_field(1, b"\x78\0" * (2**20 - 10)),
    "as_many_as_may_be": b"\x0a\0" * (2**16 - 2),
}


@pytest.mark.parametrize("graph", GRAPH_BOMBS.values(), ids=GRAPH_BOMBS)
def test_no_graph_of_objects_costs_more_than_a_second(tmp_path, graph):
    bundle = with_graph(tmp_path, graph)
    start = time.process_time()
    try:
        assert object_graph_names(bundle) == {}
    except CheckpointError as refusal:
        assert "at most 65536" in str(refusal)
    assert time.process_time() - start < 1


def test_names_and_shapes_of_a_huge_checkpoint_cost_its_index_only(tmp_path):
    size = 2**34
    prefix = lay_out(tmp_path, {b"huge": entry(4, (size,), size=size)}, data=b"")
    os.truncate(tmp_path / "model.ckpt.data-00000-of-00001", size)  # sparse: takes no room on the disk
    assert TensorBundle(prefix).shapes == {"huge": (size,)}


def test_random_damage_is_read_or_refused_but_never_crashes_or_hangs(tmp_path):
    for folder in ("healthy", "damaged"):
        (tmp_path / folder).mkdir()
    outcomes = fuzz.run(tmp_path / "damaged", fuzz.write_seeds(tmp_path / "healthy"), range(4000))
    assert outcomes["read"] > 100 and outcomes["refused"] > 1000 and not outcomes["slow"], outcomes


# The folder


def test_the_newest_checkpoint_of_a_folder_comes_first(tmp_path):
    for name in ("model.ckpt-9", "model.ckpt-100", "bert_model.ckpt", "a.ckpt"):
        save(tmp_path / name, {"rows": ROWS})
    (tmp_path / "variables").mkdir()
    save(tmp_path / "variables" / "variables", {"rows": ROWS})
    (tmp_path / "vectors.index").write_bytes(b"another program's")
    found = ["model.ckpt-100", "model.ckpt-9", "a.ckpt", "bert_model.ckpt", "variables/variables"]
    assert find_bundles(tmp_path) == [tmp_path / name for name in found]


@pytest.mark.parametrize(
    ("state", "first"),
    [
        (
            'model_checkpoint_path: "model.ckpt-9"\nall_model_checkpoint_paths: "model.ckpt-100"',
            "model.ckpt-9",
        ),
        ('model_checkpoint_path: "/home/of/somebody/model.ckpt-9"', "model.ckpt-9"),
        ('model_checkpoint_path: "../outside.ckpt-9"', "model.ckpt-100"),
        ('model_checkpoint_path: "../../outside/"', "model.ckpt-100"),
        ('model_checkpoint_path: ".."', "model.ckpt-100"),
        ("no such thing \0 \ud800", "model.ckpt-100"),
    ],
)
def test_the_checkpoint_note_names_one_of_the_folder_or_nothing(tmp_path, state, first):
    folder = tmp_path / "run"
    folder.mkdir()
    save(tmp_path / "outside.ckpt-9", {"rows": ROWS})
    for name in ("model.ckpt-9", "model.ckpt-100"):
        save(folder / name, {"rows": ROWS})
    (folder / "checkpoint").write_bytes(state.encode(errors="surrogatepass"))
    found = find_bundles(folder)
    assert found[0] == folder / first and len(found) == 2


def test_a_folder_that_is_not_there_is_refused_and_an_empty_one_holds_nothing(tmp_path):
    assert find_bundles(tmp_path) == []
    assert "none" in refusal_of(lambda: find_bundles(tmp_path / "none"))
