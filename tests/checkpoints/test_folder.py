import json
import re

import numpy as np
import pytest

from keras_bert.checkpoints.checkpoint import encoder_weights, head_weights, read_folder
from keras_bert.checkpoints.safetensors_file import read_tensors, write_tensors
from keras_bert.errors import CheckpointError, ConfigError

LABELS = ["negative", "neutral", "positive"]


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_tensors(folder, edit):
    """Rewrites the weight file with `edit(tensors)` applied to its dict."""
    tensors = {name: np.array(array) for name, array in read_tensors(folder / "model.safetensors").items()}
    edit(tensors)
    write_tensors(folder / "model.safetensors", tensors)


def test_what_is_saved_is_read_back_bit_for_bit(saved, config, weights):
    checkpoint = read_folder(saved)
    assert (checkpoint.config, checkpoint.labels) == (config, LABELS)
    assert checkpoint.architectures == ["BertForSequenceClassification"]
    assert checkpoint.extras == {"task": {"name": "classification"}}
    assert checkpoint.warnings == []
    found, head = encoder_weights(checkpoint), head_weights(checkpoint)
    assert not found.missing and not found.unexpected
    assert {**found.weights, **head}.keys() == weights.keys()
    for path, array in {**found.weights, **head}.items():
        assert array.tobytes() == weights[path].tobytes(), path


def test_a_folder_of_hugging_face_needs_nothing_of_ours(downloaded, weights):
    checkpoint = read_folder(downloaded)
    assert checkpoint.extras == {} and checkpoint.labels == LABELS
    np.testing.assert_array_equal(
        encoder_weights(checkpoint).weights["pooler/kernel"], weights["pooler/kernel"]
    )


def test_half_precision_is_read_as_float32(downloaded, weights):
    def halve(tensors):
        tensors.update({name: array.astype(np.float16) for name, array in tensors.items()})

    edit_tensors(downloaded, halve)
    kernel = encoder_weights(read_folder(downloaded)).weights["block_0/output/kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, weights["block_0/output/kernel"].astype(np.float16))


def test_a_missing_pooler_is_listed_and_no_error(downloaded):
    edit_tensors(
        downloaded, lambda tensors: [tensors.pop(f"bert.pooler.dense.{x}") for x in ("weight", "bias")]
    )
    assert encoder_weights(read_folder(downloaded)).missing.keys() == {"pooler/kernel", "pooler/bias"}


def test_another_head_is_left_over_by_name(downloaded):
    def another_head(tensors):
        del tensors["classifier.weight"], tensors["classifier.bias"]
        tensors["qa_outputs.weight"] = np.zeros((2, 4), np.float32)

    edit_tensors(downloaded, another_head)
    checkpoint = read_folder(downloaded)
    assert encoder_weights(checkpoint).unexpected == ["qa_outputs.weight"]
    assert head_weights(checkpoint) == {}


def rename(tensors, old, new):
    tensors[new] = tensors.pop(old)


MISFITS = {
    "vocabulary": ({"vocab_size": 11}, "(10, 4), but config.json says vocab_size=11, hidden_size=4"),
    "positions": ({"max_position_embeddings": 16}, "says max_position_embeddings=16"),
    "segments": ({"type_vocab_size": 1}, "says type_vocab_size=1"),
    "width": ({"hidden_size": 8}, "Expected: the shape (10, 8)"),
    "feed_forward": ({"intermediate_size": 7}, "(6, 4), but config.json says intermediate_size=7"),
    "fewer_blocks": ({"num_hidden_layers": 1}, "2 encoder blocks, but config.json says num_hidden_layers=1"),
    "more_blocks": ({"num_hidden_layers": 3}, "2 encoder blocks, but config.json says num_hidden_layers=3"),
    "a_billion_blocks": ({"num_hidden_layers": 10**9}, "says num_hidden_layers=1000000000"),
    "classes": ({"id2label": {"0": "a", "1": "b"}}, "'classifier.weight' has the shape (3, 4)"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), MISFITS.values(), ids=MISFITS)
def test_weights_that_contradict_the_config_are_refused(downloaded, changes, said):
    edit_config(downloaded, **changes)
    with pytest.raises(CheckpointError) as refusal:
        read_folder(downloaded)
    assert said in str(refusal.value)
    assert "To fix: config.json was edited or is another model's" in str(refusal.value)


def test_a_missing_tensor_of_the_encoder_is_refused(downloaded):
    edit_tensors(downloaded, lambda tensors: tensors.pop("bert.encoder.layer.1.output.dense.bias"))
    with pytest.raises(CheckpointError, match=r"'bert\.encoder\.layer\.1\.output\.dense\.bias' is missing"):
        read_folder(downloaded)


def test_a_gap_between_the_blocks_is_refused(downloaded):
    def renumber(tensors):
        for name in [name for name in tensors if ".layer.1." in name]:
            rename(tensors, name, name.replace(".layer.1.", ".layer.5."))

    edit_tensors(downloaded, renumber)
    with pytest.raises(CheckpointError, match="2 encoder blocks, but the last has the number 5"):
        read_folder(downloaded)


def test_quantised_weights_are_refused(downloaded):
    name = "bert.pooler.dense.weight"
    edit_tensors(downloaded, lambda tensors: tensors.update({name: tensors[name].astype(np.int8)}))
    with pytest.raises(CheckpointError, match="holds int8"):
        read_folder(downloaded)


def test_weights_of_no_bert_are_refused(downloaded):
    write_tensors(downloaded / "model.safetensors", {"transformer.wte.weight": np.zeros((10, 4), np.float32)})
    with pytest.raises(CheckpointError, match="No word embeddings"):
        read_folder(downloaded)


def test_an_altered_weight_file_is_refused(saved):
    edit_tensors(saved, lambda tensors: tensors["classifier.bias"].__iadd__(1))
    with pytest.raises(CheckpointError, match="model.safetensors"):
        read_folder(saved)
    assert read_folder(saved, check_hashes=False).labels == LABELS


def test_a_cut_weight_file_is_refused(saved):
    content = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(content[:-100])
    for kind in ("ours", "theirs"):
        with pytest.raises(CheckpointError, match="cut"):
            read_folder(saved)
        if kind == "ours":
            (saved / "keras_bert.json").unlink()


def test_an_edited_config_warns_and_loads(saved):
    edit_config(saved, note="by hand")
    (warning,) = read_folder(saved).warnings
    assert "config.json" in warning


def test_a_folder_of_a_newer_format_is_refused(saved):
    (saved / "keras_bert.json").write_text('{"format": 2, "files": {}}')
    with pytest.raises(CheckpointError, match="update keras-bert-kit"):
        read_folder(saved)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format": 1, "files": [1]}', '{"format": 1, "files": {"a": 1}}']
)
def test_a_damaged_list_of_files_is_refused(saved, content):
    (saved / "keras_bert.json").write_text(content)
    with pytest.raises(CheckpointError):
        read_folder(saved)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "No weights in it, but nothing"),
        (("bert_config.json", "bert_model.ckpt.index"), "copy the checkpoint again"),
        (("saved_model.pb",), "SavedModel has no variables of a BERT"),
        (("config.json", "pytorch_model.bin"), "It is JSON, not weights"),
        (("config.json", "tf_model.h5"), "It is JSON, not weights"),
        (("model.onnx",), "ONNX export"),
        (("adapter_config.json",), "adapter"),
        (("checkpoint-500/config.json",), "checkpoint-500, which holds a config.json"),
    ],
)
def test_another_kind_of_folder_is_recognised(tmp_path, files, said):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match=said):
        read_folder(tmp_path)


def test_a_file_in_place_of_a_folder_is_refused(saved):
    with pytest.raises(CheckpointError, match=re.escape(f"give the folder that holds the file: {saved}")):
        read_folder(saved / "model.safetensors")
    with pytest.raises(CheckpointError, match="No such file"):
        read_folder(saved / "nowhere")


def test_another_model_type_is_refused_before_its_weights_are_read(saved):
    edit_config(saved, model_type="deberta-v2")
    (saved / "model.safetensors").write_bytes(b"")
    (saved / "keras_bert.json").unlink()
    with pytest.raises(ConfigError, match="deberta-v2"):
        read_folder(saved)
