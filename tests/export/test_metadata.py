"""MediaPipe's metadata: what its own reader finds in a file, and a model that is left as it was."""

import functools
import json
import os
import pathlib
import struct
import zipfile

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import keras_bert as kb
from keras_bert.errors import ExportError, UsageError
from keras_bert.export import metadata, metadata_tables, probes, proof
from keras_bert.export.conversion import convert
from keras_bert.export.scoring import Batch
from keras_bert.export.signatures import static_signature
from keras_bert.features import ENCODER_FEATURES, tensor_specs
from keras_bert.tasks import TASKS, task_class

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "edge_metadata.json"
LABELS = ["negative", "positive", "neither"]
KINDS = {  # the task of each, the values it gives, its length
    "text_classifier": ("classification", 3, 32),
    "text_embedder": ("similarity", 128, 32),
    "question_answerer": ("question_answering", 384, 384),
}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", *(f"##{c}" for c in "abcdefgh"), "我"]


@functools.cache
def bert_of(kind, **tokenizer):
    """A small BERT with the task of a kind."""
    task, _, length = KINDS.get(kind, (kind, 0, 32))
    config = kb.BertConfig.preset("tiny", vocabulary_size=len(PIECES))
    settings = {"labels": LABELS} if task in ("classification", "multi_label") else {}
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES, **tokenizer), task, max_length=length, **settings)


@functools.cache
def plain_model(names, num_values, length) -> bytes:
    """A `.tflite` file with our inputs, and outputs of these names that are made of all of them."""

    def answer(token_ids, segment_ids, padding_mask):
        mixed = tf.cast(token_ids * padding_mask + segment_ids, tf.float32)[:, :1]  # (1, 1)
        # Weights of their own, so that there are buffers worth keeping.
        return {
            name: mixed * tf.linspace(1.0 + i, 2.0 + i, num_values)[tf.newaxis]
            for i, name in enumerate(names)
        }

    specs = tensor_specs(*ENCODER_FEATURES, batch=1, length=length)
    function = tf.function(answer).get_concrete_function(**specs)
    return convert(tf.Module(), {"serving_default": function}, "float32")


def model_of(kind) -> bytes:
    """The model that `written` gives its metadata."""
    task, num_values, length = KINDS[kind]
    return plain_model(task_class(task).edge_outputs, num_values, length)


def written(kind, folder) -> pathlib.Path:
    """A file of a kind, with its metadata."""
    file = folder / f"{kind}.tflite"
    file.write_bytes(model_of(kind))
    metadata.add_metadata(bert_of(kind), file)
    return file


# The slots of metadata_schema.fbs, written down a second time on purpose: what the writer and the reader of a
# format have in common proves nothing. A list holds tables; a pair is a union by the number of its type.
FILE = {0: ("name", str), 1: ("description", str), 2: ("type", {2: "TENSOR_AXIS_LABELS", 5: "VOCABULARY"})}
CONTENT = {0: ("content_properties", {1: ("FeatureProperties", {})})}
TOKENIZER = {0: ("vocab_file", [FILE])}
UNIT = {0: ("options", {4: ("BertTokenizerOptions", TOKENIZER)})}
TENSOR = {
    0: ("name", str), 1: ("description", str), 3: ("content", CONTENT), 6: ("associated_files", [FILE]),
}  # fmt: skip
GRAPH = {
    2: ("input_tensor_metadata", [TENSOR]), 3: ("output_tensor_metadata", [TENSOR]),
    5: ("input_process_units", [UNIT]),
}  # fmt: skip
MODEL = {
    0: ("name", str), 1: ("description", str), 3: ("subgraph_metadata", [GRAPH]),
    7: ("min_parser_version", str),
}  # fmt: skip


def read_table(data, place, fields) -> dict:
    """A table as JSON has it; fails at a field that is not in `fields`."""
    vtable = place - struct.unpack_from("<i", data, place)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    offsets = struct.unpack_from(f"<{(size - 4) // 2}H", data, vtable + 4)
    places = {slot: place + offset for slot, offset in enumerate(offsets) if offset}
    found = {}
    while places:
        slot = min(places)
        name, kind = fields[slot]
        at = places.pop(slot)
        if isinstance(kind, dict) and slot + 1 in places and slot + 1 not in fields:
            found[f"{name}_type"], inner = kind[data[at]]
            found[name] = read_table(data, followed(data, places.pop(slot + 1)), inner)
        elif isinstance(kind, dict) and all(isinstance(value, str) for value in kind.values()):
            found[name] = kind[data[at]]
        elif isinstance(kind, dict):
            found[name] = read_table(data, followed(data, at), kind)
        else:
            found[name] = read_text_or_tables(data, followed(data, at), kind)
    return found


def followed(data, at) -> int:
    return at + struct.unpack_from("<I", data, at)[0]


def read_text_or_tables(data, place, kind):
    [count] = struct.unpack_from("<I", data, place)
    if kind is str:
        return data[place + 4 : place + 4 + count].decode()
    return [read_table(data, followed(data, place + 4 + 4 * i), kind[0]) for i in range(count)]


def metadata_of(data: bytes) -> bytes:
    """The metadata buffer of a file."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


@pytest.mark.parametrize("kind", KINDS)
def test_the_libraries_own_reader_found_what_the_file_says(kind, tmp_path):
    file = written(kind, tmp_path)
    data = metadata_of(file.read_bytes())
    assert data[4:8] == b"M001"
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[kind]
    assert read_table(data, followed(data, 0), MODEL) == golden["metadata"]
    assert sorted(zipfile.ZipFile(file).namelist()) == golden["files"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_metadata_name_each_tensor_in_the_order_of_the_graph(kind, tmp_path):
    data = written(kind, tmp_path).read_bytes()
    graph = schema.Model.GetRootAs(data, 0).Subgraphs(0)
    [told] = read_table(buffer := metadata_of(data), followed(buffer, 0), MODEL)["subgraph_metadata"]
    tensors = [graph.Tensors(graph.Inputs(i)).Name().decode() for i in range(graph.InputsLength())]
    called = [tensor["name"] for tensor in told["input_tensor_metadata"]]
    ours = {theirs: name for name, (theirs, _) in metadata.INPUTS.items()}
    assert [ours[name] in tensor for name, tensor in zip(called, tensors, strict=True)] == [True] * 3
    answers = Interpreter(model_content=data)
    answers.allocate_tensors()
    for detail, tensor in zip(answers.get_output_details(), told["output_tensor_metadata"], strict=True):
        index = list(metadata.KINDS[kind].outputs).index(tensor["name"])
        # The first weight of an output tells which it is, see `plain_model`.
        feed(answers, np.ones((1, KINDS[kind][2]), "int32"))
        assert answers.get_tensor(detail["index"])[0, 0] == 2 * (1 + index)


def feed(interpreter, ones):
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], ones)
    interpreter.invoke()


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_and_numbers_are_what_they_were(kind, tmp_path):
    before = Interpreter(model_content=model_of(kind))
    after = Interpreter(str(written(kind, tmp_path)))
    assert before.get_signature_list() == after.get_signature_list()
    ids = np.arange(1, KINDS[kind][2] + 1, dtype="int32")[np.newaxis]
    asked = dict.fromkeys(ENCODER_FEATURES, ids)
    expected = before.get_signature_runner()(**asked)
    answer = after.get_signature_runner()(**asked)
    assert answer.keys() == expected.keys() == set(bert_of(kind).task.edge_outputs)
    for name in expected:
        np.testing.assert_array_equal(answer[name], expected[name])


def test_all_else_in_the_model_is_unchanged(tmp_path):
    def objects(data):
        model = plain(schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0)))
        return model, model.pop("buffers"), model.pop("metadata")

    (model, buffers, entries) = objects(model_of("text_classifier"))
    (new_model, new_buffers, new_entries) = objects(written("text_classifier", tmp_path).read_bytes())
    assert new_model == model and {"version", "signatureDefs", "subgraphs", "operatorCodes"} <= model.keys()
    assert new_buffers[:-1] == buffers and new_entries[:-1] == entries
    assert new_entries[-1] == {"name": b"TFLITE_METADATA", "buffer": len(buffers)}


def plain(value):
    """The object API's objects as dicts and lists, which compare."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {k: plain(v) for k, v in vars(value).items()} if hasattr(value, "__dict__") else value


def test_every_buffer_is_as_aligned_as_it_was_and_the_new_one_is(tmp_path):
    def places(data):
        model = schema.Model.GetRootAs(data, 0)
        buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
        return [b._tab.Vector(b._tab.Offset(4)) % 16 for b in buffers if not b.DataIsNone()]

    data = written("text_classifier", tmp_path).read_bytes()
    assert places(data) == [*places(model_of("text_classifier")), 0]


def test_the_files_lie_behind_a_model_that_begins_at_byte_0(tmp_path):
    file = written("text_classifier", tmp_path)
    assert file.read_bytes()[4:8] == b"TFL3"
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        # Absolute places: readers that look for the archive's own start are not the only ones.
        for entry in archive.infolist():
            assert file.read_bytes()[entry.header_offset :][:4] == b"PK\x03\x04"
        assert archive.read("vocab.txt").decode().split("\n") == [*PIECES, ""]
        assert archive.read("labels.txt").decode().split("\n") == [*LABELS, ""]
    (tmp_path / "again").mkdir()
    assert written("text_classifier", tmp_path / "again").read_bytes() == file.read_bytes()


def test_only_a_classifier_has_a_file_of_labels(tmp_path):
    report = {}
    for kind in KINDS:
        (tmp_path / "m.tflite").write_bytes(model_of(kind))
        report[kind] = metadata.add_metadata(bert_of(kind), tmp_path / "m.tflite")
        assert zipfile.ZipFile(tmp_path / "m.tflite").namelist() == report[kind]["files"]
    assert [len(one["files"]) for one in report.values()] == [2, 1, 1]
    assert report["text_classifier"] == json.loads(json.dumps(report["text_classifier"])) == {
        "kind": "text_classifier",
        "inputs": {"token_ids": "ids", "padding_mask": "mask", "segment_ids": "segment_ids"},
        "outputs": {"scores": "probability"},
        "files": ["vocab.txt", "labels.txt"],
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_signature_answers_what_the_application_takes_and_nothing_else(kind):
    bert = bert_of(kind)
    ids = np.zeros((1, bert.task.max_length), "int32")
    ids[0, :5] = [2, 5, 6, 7, 3]
    asked = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": np.minimum(ids, 1)}
    asked = {name: tf.constant(array) for name, array in asked.items()}
    answer = metadata.edge_signature(bert, bert.task.max_length)(**asked)
    whole = static_signature(bert, bert.task.max_length)(**asked)
    assert set(answer) == set(bert.task.edge_outputs) <= set(whole)
    for name, tensor in answer.items():
        np.testing.assert_array_equal(tensor, whole[name])
        assert tensor.shape == (1, KINDS[kind][1]) and tensor.dtype == tf.float32


def test_an_export_with_metadata_gives_the_probabilities_of_predict(bert, tmp_path, no_process):
    file, rows = tmp_path / "model.tflite", {"text": ["a film", "b"], "label": ["negative", "neither"]}
    options = {"quantize": "float32", "eval_file": rows, "max_metric_drop": 100.0}
    report = bert.export(file, format="tflite", metadata=True, **options)
    assert report["metadata"]["kind"] == "text_classifier"
    assert report["signatures"]["serving_default"]["outputs"] == ["scores"]
    assert report["bytes"] == os.path.getsize(file) and json.loads(json.dumps(report)) == report
    assert zipfile.ZipFile(file).namelist() == report["metadata"]["files"]
    buffer = metadata_of(file.read_bytes())
    [told] = read_table(buffer, followed(buffer, 0), MODEL)["subgraph_metadata"]
    ids = bert.tokenizer.encode("a film zz").token_ids
    padded = np.zeros((1, 32), "int32")
    padded[0, : len(ids)] = ids
    tensors = {"ids": padded, "mask": (padded > 0).astype("int32"), "segment_ids": 0 * padded}
    interpreter = Interpreter(str(file))
    interpreter.allocate_tensors()
    # As those libraries do it: a tensor is the one that has its name in the metadata.
    for detail, tensor in zip(interpreter.get_input_details(), told["input_tensor_metadata"], strict=True):
        interpreter.set_tensor(detail["index"], tensors[tensor["name"]])
    interpreter.invoke()
    [detail], [tensor] = interpreter.get_output_details(), told["output_tensor_metadata"]
    assert tensor["name"] == "probability"
    [row] = bert.predict(["a film zz"])
    np.testing.assert_allclose(interpreter.get_tensor(detail["index"]), [row["scores"]], atol=1e-6)


def test_every_task_that_is_an_application_names_its_outputs():
    found = {name: (task_class(name).edge_kind, task_class(name).edge_outputs) for name in TASKS}
    apps = {name: kind for name, (kind, _) in found.items() if kind is not None}
    assert {task: kind for kind, (task, *_) in KINDS.items()}.items() <= apps.items()
    for kind, outputs in found.values():
        assert len(outputs) == len(metadata.KINDS[kind].outputs if kind else ())


def test_questions_expect_no_more_than_the_application_takes(bert):
    asked = probes.static_questions(bert, "serving_default", 32)[:3]
    assert set(asked[0].expected) == {"score", "scores"}
    batch = Batch(0, np.arange(3), {}, asked)
    artefact = proof.Artefact("tflite", "model.tflite", (), asked, {"ids": [batch]})
    narrowed = artefact.answering(bert.task.edge_outputs)
    assert [set(question.expected) for question in narrowed.all_questions()] == [{"scores"}] * 6
    assert [question.inputs for question in narrowed.questions] == [question.inputs for question in asked]
    assert set(artefact.questions[0].expected) == {"score", "scores"}


CLASSIFIER = functools.partial(bert_of, "text_classifier")


def with_labels(*labels):
    config = kb.BertConfig.preset("tiny", vocabulary_size=len(PIECES))
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES), "classification", labels=labels)


def with_pieces(*more):
    config = kb.BertConfig.preset("tiny", vocabulary_size=len(PIECES) + len(more))
    return kb.Bert.from_config(config, kb.Tokenizer([*PIECES, *more]), "similarity")


@pytest.mark.parametrize(
    ("make", "lengths", "quantize", "said"),
    [
        (functools.partial(bert_of, "regression"), [32], "float32", "regression is no .*text_classifier"),
        (functools.partial(CLASSIFIER, lowercase=False), [32], "float32", "keeps capitals"),
        (functools.partial(CLASSIFIER, split_chinese=False), [32], "float32", "ideographs together"),
        (functools.partial(CLASSIFIER, never_split=("a.b",)), [32], "float32", "never split"),
        (CLASSIFIER, [32, 16], "float32", "is 32, 16. Expected: one length"),
        (functools.partial(bert_of, "question_answerer"), [128], "float32", "Expected: 384"),
        (functools.partial(bert_of, "question_answerer"), [384], "dynamic_int8", "float16 or float32"),
        (functools.partial(with_labels, "a\nb", "c"), [32], "float32", "labels: 'a.+nb' cannot be a line"),
        (functools.partial(with_labels, "", "c"), [32], "float32", "labels: '' cannot be a line"),
        (functools.partial(with_pieces, "a\nb"), [32], "float32", "vocabulary: 'a.+nb' cannot"),
        (functools.partial(with_pieces, "ab\r"), [32], "float32", "vocabulary: 'ab.+r' cannot"),
    ],
)
def test_what_those_libraries_would_read_otherwise_is_refused(make, lengths, quantize, said):
    with pytest.raises(UsageError, match=said):
        metadata.check_edge(make(), lengths, quantize)


@pytest.mark.parametrize("kind", KINDS)
def test_what_they_can_read_is_not_refused(kind):
    metadata.check_edge(bert_of(kind), [KINDS[kind][2]], "float16")
    if kind != "question_answerer":
        metadata.check_edge(bert_of(kind), [16], "dynamic_int8")


def changed(change) -> bytes:
    """The classifier's model after a change to its objects."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model_of("text_classifier"), 0))
    change(model)
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def outside(model):
    model.buffers[-1].offset, model.buffers[-1].size = 4096, 16


def two_signatures(model):
    model.signatureDefs.append(model.signatureDefs[0])


def of_the_future() -> bytes:
    builder = flatbuffers.Builder()
    builder.StartObject(len(metadata_tables.MODEL_FIELDS) + 1)
    builder.PrependUint32Slot(len(metadata_tables.MODEL_FIELDS), 7, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: b"not a model at all", "is no TFLite model"),
        (lambda: b"", "is no TFLite model"),
        (of_the_future, "not known here"),
        (lambda: changed(outside), "outside its FlatBuffer"),
        (lambda: changed(two_signatures), "2 signatures and 1 graphs"),
        (lambda: plain_model(("score", "scores"), 3, 32), "the outputs score"),
        (lambda: plain_model(("scores",), 4, 32), r"shape \[1, 4\].*\[1, 3\]"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_and_left_alone(make, said, tmp_path):
    file = tmp_path / "model.tflite"
    file.write_bytes(made := make())
    with pytest.raises(ExportError, match=said):
        metadata.add_metadata(bert_of("text_classifier"), file)
    assert file.read_bytes() == made


def test_a_second_time_is_refused(tmp_path):
    file = written("text_classifier", tmp_path)
    with pytest.raises(ExportError, match="TFLITE_METADATA already"):
        metadata.add_metadata(bert_of("text_classifier"), file)


def test_an_export_that_is_refused_leaves_nothing(bert, tmp_path):
    with pytest.raises(UsageError, match="one length"):
        bert.export(tmp_path / "model.tflite", format="tflite", metadata=True, length=[32, 16])
    assert os.listdir(tmp_path) == []
