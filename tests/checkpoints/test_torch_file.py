import os
import struct
import tracemalloc

import numpy as np
import pytest
from fuzz_torch_file import BINS, archive, mutants, outcome, watched

from keras_bert.checkpoints import torch_pickle, torch_zip
from keras_bert.checkpoints.torch_file import TorchFile, read_torch
from keras_bert.errors import CheckpointError

with np.load(BINS / "expected.npz") as stored:
    EXPECTED = dict(stored)
DTYPES = dict(line.rsplit(" ", 1) for line in str(EXPECTED.pop("dtypes")).splitlines())
READ = sorted({name.split("/")[0] for name in DTYPES})

# --- pickles by hand ---------------------------------------------------------------------------------------


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def text(value):
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def pair(*parts):
    """A tuple of any length."""
    return b"(" + b"".join(parts) + b"t"


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def call(module, attribute, *arguments):
    return name(module, attribute) + pair(*arguments) + b"R"


def storage(key="0", kind="FloatStorage", size=6, module="torch", last=b""):
    return pair(text("storage"), name(module, kind), text(key), text("cpu"), number(size), last) + b"Q"


def tensor(shape=(2, 3), strides=(3, 1), offset=0, of=None):
    sizes, steps = pair(*map(number, shape)), pair(*map(number, strides))
    arguments = of or storage(), number(offset), sizes, steps, b"\x89", b"}"
    return call("torch._utils", "_rebuild_tensor_v2", *arguments)


def mapping(*keys_and_values):
    return b"}(" + b"".join(keys_and_values) + b"u"


def weights(value=None):
    return mapping(text("weight"), value or tensor())


def pickled(value):
    return b"\x80\x02" + value + b"."


NUMBERS = np.arange(6, dtype="<f4").tobytes()


def as_zip(value, numbers=NUMBERS, **options):
    return archive([("archive/data.pkl", pickled(value)), ("archive/data/0", numbers)], **options)


MACHINE = mapping(text("little_endian"), b"\x88")
MAGIC = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"


def as_legacy(value, *, magic=MAGIC, protocol=1001, machine=MACHINE, keys=b"]X\1\0\0\0000a", tail=None):
    tail = struct.pack("<q", 6) + NUMBERS if tail is None else tail
    return b"".join(map(pickled, (magic, number(protocol), machine, value, keys))) + tail


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pytorch_model.bin"


def refusal(path, content=None) -> str:
    """The message of the error that opening the file must end in."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as raised:
        TorchFile(path)
    message = str(raised.value)
    assert str(path) in message and len(message) < 1500
    return message


# --- what torch wrote --------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", READ)
def test_every_tensor_is_what_torch_itself_reads(file):
    tensors = TorchFile(BINS / f"{file}.bin")
    names = [key.removeprefix(f"{file}/") for key in DTYPES if key.startswith(f"{file}/")]
    assert list(tensors) == names and len(tensors) == len(names)
    for key in names:
        array, expected = tensors[key], EXPECTED[f"{file}/{key}"]
        assert tensors.dtypes[key] == array.dtype.name == DTYPES[f"{file}/{key}"]
        assert tensors.shapes[key] == array.shape == expected.shape
        np.testing.assert_array_equal(array.astype(expected.dtype), expected)


@pytest.mark.parametrize(
    ("file", "said"),
    {
        "module": "asks for torch.nn.modules.linear.Linear: it holds a whole model",
        "module_legacy": "asks for torch.nn.modules.linear.Linear: it holds a whole model",
        "system": "asks for posix.system: it holds code",
        "system_legacy": "asks for posix.system: it holds code",
        "quantised": "asks for torch._utils._rebuild_qtensor: it holds a quantised tensor",
        "sparse": "asks for torch._utils._rebuild_sparse_tensor: it holds a sparse tensor",
        "complex": "asks for torch.ComplexFloatStorage: it holds a complex tensor",
        "negated": "is to be negated or conjugated",
        "expanded": "'weight' is larger than its storage",
    }.items(),
)
def test_what_is_no_plain_tensor_is_refused_by_name(file, said):
    message = refusal(BINS / f"{file}.bin")
    assert said in message and "To fix: " in message


def test_every_file_that_torch_wrote_is_tested():
    files = {file.stem for file in BINS.glob("*.bin")}
    refused = {
        "module",
        "module_legacy",
        "system",
        "system_legacy",
        "quantised",
        "sparse",
        "complex",
        "negated",
    }
    assert files == {*READ, *refused, "expanded"}


def test_no_code_of_a_file_is_ever_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("system", "system_legacy"):
        refusal(BINS / f"{file}.bin")
    assert list(tmp_path.iterdir()) == []


def test_tied_weights_are_the_same_numbers_and_nothing_can_be_written():
    tensors = TorchFile(BINS / "views.bin")
    np.testing.assert_array_equal(tensors["table"], tensors["tied"])
    np.testing.assert_array_equal(tensors["table"], tensors["turned"].T)
    with pytest.raises(ValueError, match="read-only"):
        tensors["table"][0] = 1


def test_arrays_are_aligned_in_both_layouts():
    for file in ("dtypes", "dtypes_legacy"):
        assert all(array.flags.aligned for array in TorchFile(BINS / f"{file}.bin").values())


def test_the_numbers_stay_in_the_file_until_they_are_asked_for(path):
    count = 2**26
    value = tensor((count,), (1,), of=storage(size=count))
    heads = (as_legacy(mapping(text("w" * n), value), tail=struct.pack("<q", count)) for n in range(1, 5))
    head = next(head for head in heads if len(head) % 4 == 0)  # so that the numbers are aligned
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + 4 * count)  # 256 MB that take no room on the disk
    tracemalloc.start()
    tensors = TorchFile(path)
    [(name, shape)] = tensors.shapes.items()
    assert shape == (count,) and tensors[name][-1] == 0
    assert tracemalloc.get_traced_memory()[1] < 2 * torch_pickle.MAX_PICKLE_BYTES + 2**20
    tracemalloc.stop()


# --- forms that no torch of today writes -------------------------------------------------------------------

OLD_FORMS = {
    "by_hand": as_zip(weights()),
    "by_hand_legacy": as_legacy(weights()),
    "zip64": as_zip(weights(), zip64=True),
    "no_descriptors": as_zip(weights(), descriptors=False, flags=0),
    "saved_on_a_gpu": as_legacy(weights(tensor(of=storage(module="torch.cuda", last=b"N")))),
    "python_2": as_legacy(
        call("collections", "OrderedDict", b"](](U\x06weight" + tensor() + b"ee")
    ),
    "parameter_with_state": as_zip(
        weights(call("torch._utils", "_rebuild_parameter_with_state", tensor(), b"\x89", b"}", b"}"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", OLD_FORMS.values(), ids=OLD_FORMS)
def test_other_forms_of_the_same_file_are_read(path, content):
    path.write_bytes(content)
    tensors = TorchFile(path)
    assert list(tensors) == ["weight"]
    assert tensors["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "module"])
def test_weights_are_found_under_the_keys_of_training_checkpoints(path, key):
    path.write_bytes(as_zip(mapping(text("epoch"), number(3), text("best"), tensor(), text(key), weights())))
    assert list(TorchFile(path)) == ["weight"]


@pytest.mark.parametrize("stride", [0, 7, 2**62])
def test_the_stride_of_an_axis_of_one_has_no_meaning(path, stride):
    path.write_bytes(as_zip(weights(tensor((1, 6), (stride, 1)))))
    assert TorchFile(path)["weight"].tolist() == [[0, 1, 2, 3, 4, 5]]


# --- hostile pickles ---------------------------------------------------------------------------------------

LONG_KEY = text("k" * 100_000)
HOSTILE = {
    "stack_global": (text("os") + text("system") + b"\x93", "asks for os.system: it holds code"),
    "eval": (weights(call("builtins", "eval", text("1"))), "asks for builtins.eval: it holds code"),
    "nested_attribute": (name("torch", "load.__globals__"), "asks for torch.load.__globals__"),
    "name_of_odd_text": (name("tor\x1bch", "load"), r"asks for 'tor\x1bch.load'"),
    "name_over_many_lines": (name("m" * 10**6, "x"), "asks for 'mmm"),
    "numpy": (name("numpy.core.multiarray", "scalar"), "it holds NumPy objects"),
    "new_object": (name("torch", "Size") + b")\x81", "uses the opcode NEWOBJ"),
    "instance": (b"(iposix\nsystem\n", "uses the opcode INST"),
    "extension": (b"\x82\x01", "uses the opcode EXT1"),
    "text_opcode": (b"S'd'\n", "uses the opcode STRING"),
    "text_with_an_odd_escape": (b"S'\\d'\n", "The pickle in it"),  # Python itself warns of it
    "call_of_a_dtype": (name("torch", "float32") + b")R", "calls torch.float32"),
    "call_of_text": (text("system") + b")R", "calls what is no name"),
    "call_with_a_list": (name("torch", "Size") + b"]R", "calls what is no name"),
    "name_that_is_a_number": (number(1) + number(2) + b"\x93", "asks for a name that is no text"),
    "empty_stack": (b"R", "takes from an empty stack"),
    "no_mark": (b"t", "has no mark"),
    "mark_left_open": (b"(}", "ends with values left over"),
    "unknown_memo": (b"h\x07", "recalls number 7"),
    "memo_of_nothing": (b"q\x00", "remembers what is not there"),
    "memo_too_high": (b"}r\xff\xff\xff\x7f", "remembers what is not there"),
    "append_to_a_dict": (b"}Na", "adds to something that is no list"),
    "item_of_a_list": (b"]NNs", "adds to something that is no dict"),
    "state_of_a_tensor": (tensor() + b"}b", "adds to something that is no dict"),
    "key_without_value": (b"}(" + text("a") + b"u", "has a key without a value"),
    "key_twice": (mapping(text("a"), b"N", text("a"), b"N"), "has the key 'a' twice"),
    "key_is_a_tuple": (mapping(b")" + b"\x85" * 50_000, b"N"), "has the key (((("),
    "key_is_huge": (mapping(number(2**61 - 1), b"N"), "has the key 2305843009213693951"),
    "pairs_that_are_none": (call("collections", "OrderedDict", b"](Ne"), "something else than pairs"),
    "unknown_opcode": (b"\xff", "is damaged: at position 2"),
    "text_longer_than_the_file": (b"X\xff\xff\xff\x7f", "is damaged: expected 2147483647 bytes"),
    "negative_length": (b"T\xff\xff\xff\xff", "is damaged: string4 byte count < 0"),
    "long_integer": (b"\x8b\x00\x10\x00\x00" + b"\x7f" * 4096, "has a number of 32767 bits"),
    "too_many_opcodes": (b"}0" * torch_pickle.MAX_OPCODES, "uses the opcode POP"),
    "bomb_of_dicts": (b"}" * 10**6, "more than 200000 opcodes"),
    "bomb_of_lists": (b"]" * 150_000 + b"a" * 149_999, "more than 200000 opcodes"),
    "a_list": (b"]" + tensor() + b"a", "It holds one list"),
    "a_tensor": (tensor(), "It holds one Tensor"),
    "a_list_in_itself": (b"]q\x00h\x00a", "It holds one list"),
    "no_tensors": (mapping(LONG_KEY, b"N", text("b"), b"N"), "It holds no tensors, but ['kkk"),
    "two_models": (mapping(text("model"), weights(), text("module"), weights()), "as model and as module"),
    "numbered_tensor": (mapping(number(7), tensor()), "has a tensor of the name 7"),
    "surrogate_in_a_name": (mapping(b"X\3\0\0\0\xed\xa0\x80", tensor((9,), (1,))), r"'\ud800'"),
    "parameter_of_nothing": (call("torch._utils", "_rebuild_parameter", b"N", b"N", b"N"), "is no tensor"),
    "too_few_arguments": (name("torch._utils", "_rebuild_tensor_v2") + b")R", "with 0 arguments"),
    # storages
    "storage_is_a_number": (number(0) + b"Q", "does not say where a tensor's numbers are"),
    "storage_of_a_dtype": (weights(tensor(of=storage(kind="float32"))), "of the class torch.float32"),
    "storage_of_negative_size": (weights(tensor(of=storage(size=-6))), "with -6 numbers"),
    "storage_of_other_size": (weights(tensor(of=storage(size=7))), "has 24 bytes. Expected: 28 bytes"),
    "storage_cut_short": (weights(tensor((5,), (1,), of=storage(size=5))), "has 24 bytes. Expected: 20"),
    "storage_in_a_storage": (weights(tensor(of=storage(last=b")"))), "has a storage inside another"),
    "storage_of_two_kinds": (
        mapping(text("a"), tensor(), text("b"), tensor(of=storage(kind="IntStorage"))), "'0' in two ways"),
    "storage_that_is_missing": (weights(tensor(of=storage("../0"))), "'../0' is not in the archive"),
    "module": (pair(text("module"), name("torch", "Size"), text("a"), text("b")) + b"Q", "a whole model"),
    # shapes and strides
    "offset_beyond": (weights(tensor((2, 2), (2, 1), 3)), "reaches beyond its storage"),
    "offset_negative": (weights(tensor(offset=-1)), "something else than a storage and an offset"),
    "offset_huge": (weights(tensor((1,), (1,), 2**62)), "reaches beyond its storage"),
    "size_negative": (weights(tensor((-2, -3))), "has a tensor with the sizes or strides (-2, -3)"),
    "size_huge": (weights(tensor((2**62, 4))), "is larger than its storage"),
    "size_huge_and_empty": (weights(tensor((2**62, 0))), "is larger than its storage"),
    "size_of_true": (weights(tensor()).replace(number(2), b"\x88", 1), "has a tensor with the sizes"),
    "stride_negative": (weights(tensor((2,), (-1,))), "has a tensor with the sizes or strides (-1,)"),
    "stride_zero": (weights(tensor((2, 2), (0, 1))), "lie on one another"),
    "strides_overlap": (weights(tensor((2, 2), (1, 1))), "lie on one another"),
    "strides_overlap_far": (weights(tensor((2, 3), (2, 1))), "lie on one another"),
    "stride_huge": (weights(tensor((2,), (2**62,))), "reaches beyond its storage"),
    "strides_of_other_length": (weights(tensor((2, 3), (1,))), "the strides (1,)"),
    "too_many_axes": (weights(tensor((1,) * 33, (1,) * 33)), "has a tensor with the sizes"),
    "last_number_outside": (weights(tensor((2, 2), (4, 2))), "reaches beyond its storage"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_pickle_is_refused_by_name_in_either_layout(path, value, said):
    assert said in refusal(path, as_zip(value))
    message = refusal(path, as_legacy(value))
    # What comes before the storages are looked for is said of either layout.
    assert "The pickle in it" not in refusal(path, as_zip(value)) or said.replace("position 2", "") in message


def test_a_pickle_has_a_limit_and_may_not_end_early_or_late(path):
    assert "at most" in refusal(path, as_zip(LONG_KEY * 30))
    assert "Bytes follow the pickle" in refusal(path, as_zip(weights() + b".N"))
    assert "exhausted before seeing STOP" in refusal(path, archive([("a/data.pkl", b"\x80\x02}")]))


def test_the_five_pickles_of_the_old_layout_share_one_limit(path):
    idle = b"q\0" * 70_000
    content = as_legacy(weights(), magic=MAGIC + idle, protocol=1001, machine=MACHINE + idle)
    path.write_bytes(content)
    assert list(TorchFile(path)) == ["weight"]
    content = as_legacy(weights(), magic=MAGIC + idle, machine=MACHINE + idle, keys=b"]X\1\0\0\0000a" + idle)
    assert "more than 200000 opcodes" in refusal(path, content)


def test_many_tensors_of_one_storage_cannot_claim_more_than_the_file_allows(path):
    size = 2**20
    one = tensor((size,), (1,), of=storage(size=size))
    claims = [part for index in range(60) for part in (text(f"w{index}"), one)]
    assert "Its tensors claim" in refusal(path, as_zip(mapping(*claims), bytes(4 * size)))


# --- hostile archives and old layouts ----------------------------------------------------------------------

DATA, ZERO = ("archive/data.pkl", pickled(weights())), ("archive/data/0", NUMBERS)
GOOD = as_zip(weights())
ARCHIVES = {
    "compressed": (as_zip(weights(), method=8), "'archive/data.pkl' is compressed"),
    "encrypted": (as_zip(weights(), flags=0x0809), "'archive/data.pkl' is encrypted"),
    "twice": (archive([DATA, ZERO, ZERO]), "two members of the same name"),
    "two_pickles": (archive([DATA, DATA, ZERO]), "a zip archive of something else"),
    "no_pickle": (archive([("word/document.xml", b"<a/>")]), "something else, with ['word/document.xml']"),
    "no_members": (archive([]), "It is of no kind that is known here"),
    "torchscript": (archive([DATA, ZERO, ("archive/constants.pkl", b"")]), "a TorchScript program"),
    "path_out_of_it": (archive([DATA, ZERO, ("archive/../passwd", b"")]), "name 'archive/../passwd'"),
    "absolute_path": (archive([DATA, ZERO, ("/etc/passwd", b"")]), "has the name '/etc/passwd'"),
    "windows_path": (archive([DATA, ZERO, ("archive/C:\\x", b"")]), r"has the name 'archive/C:\\x'"),
    "other_folder": (archive([DATA, ZERO, ("other/data/0", b"")]), "has the name 'other/data/0'"),
    "name_in_the_member": (archive([DATA, ZERO], local_names={ZERO[0]: "archive/data/1"}), "differs from"),
    "name_no_text": (GOOD.replace(b"archive/data/0", b"archive/dat\xff/0"), "a name that is not UTF-8"),
    "big_endian": (archive([DATA, ZERO, ("archive/byteorder", b"big")]), "big-endian"),
    "in_front": (GOOD[:4] + b"#" + GOOD, "zip64 end is said to be"),
    "behind": (GOOD + b"#", "No record 0506"),
    "comment": (GOOD[:-2] + b"\1\0#", "No record 0506"),
    "comment_length": (GOOD[:-2] + b"\1\0", "has a comment"),
    "several_parts": (GOOD[:-18] + b"\1\0" + GOOD[-16:], "several parts"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), ARCHIVES.values(), ids=ARCHIVES)
def test_a_hostile_archive_is_refused(path, content, said):
    assert said in refusal(path, content)


def test_members_that_overlap_or_leave_a_hole_are_refused(path):
    directory = GOOD.index(b"PK\1\2")
    second = GOOD.index(b"PK\1\2", directory + 1)
    onto_the_first = bytearray(GOOD)
    onto_the_first[second + 42 : second + 46] = bytes(4)
    onto_the_first[second + 46 : second + 60] = b"archive/data/1"
    assert "overlaps what is before it" in refusal(path, onto_the_first)
    longer = bytearray(GOOD)
    longer[directory + 20 : directory + 28] = struct.pack("<2L", len(DATA[1]) + 40, len(DATA[1]) + 40)
    assert "overlaps what is before it" in refusal(path, longer)
    shorter = bytearray(GOOD)
    shorter[directory + 20 : directory + 28] = struct.pack("<2L", *[len(DATA[1]) - 1] * 2)
    assert "bytes that are no member's" in refusal(path, shorter)


LEGACY = {
    "another_pickle": (pickled(weights()), "a pickle, but not one of torch's"),
    "another_protocol": (as_legacy(weights(), protocol=1000), "has the protocol 1000"),
    "big_endian": (as_legacy(weights(), machine=mapping(text("little_endian"), b"\x89")), "big-endian"),
    "bytes_left_over": (as_legacy(weights(), tail=struct.pack("<q", 6) + NUMBERS + b"#"), "1 bytes follow"),
    "size_of_a_storage": (as_legacy(weights(), tail=struct.pack("<q", 5) + NUMBERS), "has 5 numbers"),
    "negative_size": (as_legacy(weights(), tail=struct.pack("<q", -6) + NUMBERS), "has -6 numbers"),
    "storages_not_listed": (as_legacy(weights(), keys=b"]", tail=b""), "of 0 storages differs"),
    "storages_listed_twice": (as_legacy(weights(), keys=b"](" + text("0") * 2 + b"e"), "list of storages"),
    "storages_not_a_list": (as_legacy(weights(), keys=b"}"), "list of storages"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), LEGACY.values(), ids=LEGACY)
def test_a_contradiction_in_the_old_layout_is_refused(path, content, said):
    assert said in refusal(path, content)


@pytest.mark.parametrize("file", ["state_dict", "state_dict_legacy"])
def test_a_file_cut_at_any_byte_is_refused(path, file):
    content = (BINS / f"{file}.bin").read_bytes()
    for length in range(len(content)):
        refusal(path, content[:length])


OTHERS = {
    "empty": (b"", "The file is empty"),
    "git_lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run `git lfs pull`"),
    "html": (b"\n<!DOCTYPE html><html>Not found</html>", "a web page"),
    "json": (b'{"error": "Repository not found"}', "JSON, not weights"),
    "safetensors": (
        struct.pack("<Q", 40) + b'{"weight": {"dtype": "F32"}}',
        "rename it to model.safetensors",
    ),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
    "gzip": (b"\x1f\x8b\x08" + bytes(50), "a gzip file"),
    "tar": (bytes(257) + b"ustar" + bytes(250), "a tar archive"),
    "zeros": (bytes(1000), "of no kind that is known here"),
}


@pytest.mark.parametrize(("content", "said"), OTHERS.values(), ids=OTHERS)
def test_a_file_of_another_kind_is_named(path, content, said):
    assert said in refusal(path, content)


def test_what_is_not_a_file_is_refused(tmp_path):
    assert "Not a file" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "pytorch_model.bin")
    os.mkfifo(tmp_path / "pipe.bin")
    assert "Not a file" in refusal(tmp_path / "pipe.bin")


# --- shards ------------------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path):
    """A checkpoint of two shards, one in either layout."""
    folder = tmp_path / "snapshots" / "main"
    folder.mkdir(parents=True)
    (folder / "pytorch_model-00001-of-00002.bin").write_bytes(as_zip(mapping(text("first"), tensor())))
    (folder / "pytorch_model-00002-of-00002.bin").write_bytes(as_legacy(mapping(text("second"), tensor())))
    write_index(folder)
    return folder / "pytorch_model.bin.index.json"


def write_index(folder, first="pytorch_model-00001-of-00002.bin", second="pytorch_model-00002-of-00002.bin"):
    content = f'{{"metadata": {{}}, "weight_map": {{"first": "{first}", "second": "{second}"}}}}'
    (folder / "pytorch_model.bin.index.json").write_text(content)


def test_shards_are_read_as_one(index):
    tensors = read_torch(index)
    assert list(tensors) == ["first", "second"]
    assert tensors.shapes == {"first": (2, 3), "second": (2, 3)}
    assert tensors.dtypes == {"first": "float32", "second": "float32"}
    assert tensors["second"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "shard", ["../../evil.bin", "/etc/evil.bin", "evil.safetensors", "C:evil.bin", "a\\\\b.bin"]
)
def test_an_index_cannot_name_files_elsewhere(index, shard):
    write_index(index.parent, first=shard)
    with pytest.raises(CheckpointError, match="No usable `weight_map`"):
        read_torch(index)


def test_an_index_that_disagrees_with_its_shards_is_refused(index):
    write_index(index.parent, second="pytorch_model-00001-of-00002.bin")
    with pytest.raises(CheckpointError, match="disagree about"):
        read_torch(index)


def test_an_index_has_a_limit(index):
    index.write_bytes(b" " * (2 * 2**20 + 1))
    with pytest.raises(CheckpointError, match="more than 2097152 bytes"):
        read_torch(index)


def test_a_shard_may_be_a_link_into_the_cache_but_not_elsewhere(index, tmp_path):
    shard = index.parent / "pytorch_model-00001-of-00002.bin"
    (tmp_path / "blobs").mkdir()
    shard.rename(tmp_path / "blobs" / "0123")
    shard.symlink_to("../../blobs/0123")
    assert list(read_torch(index)) == ["first", "second"]
    (tmp_path / "blobs" / "0123").rename(tmp_path / "elsewhere.bin")
    shard.unlink()
    shard.symlink_to("../../elsewhere.bin")
    with pytest.raises(CheckpointError, match="It is a link to"):
        read_torch(index)


# --- at random ---------------------------------------------------------------------------------------------


def test_thousands_of_damaged_files_are_read_or_refused_and_nothing_else(path):
    outcomes = {"read": 0, "refused": 0}
    with watched():
        for content in mutants(200_000, 3000):
            path.write_bytes(content)
            outcomes[outcome(path)] += 1
    assert min(outcomes.values()) > 100, outcomes


BOMBS = {
    "dicts": b"}" * (torch_pickle.MAX_PICKLE_BYTES - 3),
    "tuples_in_tuples": b")" + b"\x85" * (torch_pickle.MAX_PICKLE_BYTES - 4),
    "memo": b"}" + b"".join(b"r" + index.to_bytes(4, "little") for index in range(190_000)),
    "numbers_as_keys": b"}(" + b"".join(number(index << 14) + b"N" for index in range(90_000)) + b"u",
    "digits": b"L" + b"9" * 2 * 10**6 + b"L\n",
    "one_text": b"X" + (2 * 10**6).to_bytes(4, "little") + "😀".encode() + b"a" * (2 * 10**6 - 4),
}


@pytest.mark.parametrize("value", BOMBS.values(), ids=BOMBS)
def test_a_bomb_takes_no_more_memory_than_twice_the_file_and_64_mb(path, value):
    path.write_bytes(as_zip(value))
    tracemalloc.start()
    refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    tracemalloc.stop()


def test_an_archive_of_many_members_is_refused_by_its_directory(path):
    members = [(f"a/{index:x}", b"") for index in range(torch_zip.MAX_DIRECTORY_BYTES // 48)]
    assert "directory has" in refusal(path, archive(members))
