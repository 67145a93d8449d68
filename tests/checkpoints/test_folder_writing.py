import json
import re

import numpy as np
import pytest

from keras_bert.checkpoints.checkpoint import read_folder
from keras_bert.checkpoints.folder import write_folder
from keras_bert.checkpoints.safetensors_file import read_tensors
from keras_bert.errors import CheckpointError, OutputError

LABELS = ("negative", "neutral", "positive")
ENCODER_KEYS = {"embeddings.word_embeddings.weight", "encoder.layer.1.output.LayerNorm.bias"}


@pytest.mark.parametrize(
    ("architecture", "prefix", "others"),
    [
        ("BertModel", "", {"pooler.dense.weight", "pooler.dense.bias"}),
        (
            "BertForSequenceClassification",
            "bert.",
            {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"},
        ),
        ("BertForTokenClassification", "bert.", {"classifier.weight", "classifier.bias"}),
    ],
)
def test_the_weight_file_holds_the_keys_of_its_class(
    tmp_path, config, weights, tokenizer, architecture, prefix, others
):
    write_folder(tmp_path / "out", config, weights, architecture=architecture, tokenizer=tokenizer)
    keys = set(read_tensors(tmp_path / "out" / "model.safetensors"))
    assert {key for key in keys if "encoder." not in key and "embeddings." not in key} == others
    assert {prefix + key for key in ENCODER_KEYS} <= keys
    assert len(keys) == 5 + 2 * 16 + len(others)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == [architecture]


def test_a_folder_of_ours_is_replaced_as_a_whole(saved, config, weights, tokenizer):
    (saved / "vocab.txt").unlink()
    write_folder(
        saved,
        config,
        weights,
        architecture="BertModel",
        tokenizer=tokenizer,
        more=lambda stage: (stage / "README.md").write_text("a card"),
    )
    assert read_folder(saved).architectures == ["BertModel"]
    files = json.loads((saved / "keras_bert.json").read_text())["files"]
    assert {
        "README.md",
        "keras_bert.safetensors",  # the classifier, for which BertModel has no place
        "model.safetensors",
        "config.json",
        "vocab.txt",
        "tokenizer_config.json",
    } == files.keys()
    write_folder(saved, config, weights, architecture="BertModel", tokenizer=tokenizer)
    assert not (saved / "README.md").exists()


@pytest.mark.parametrize("added", ["notes.txt", "keras_bert.json"])
def test_a_folder_that_holds_something_else_is_not_replaced(saved, config, weights, tokenizer, added):
    if added == "keras_bert.json":  # without it the folder is not ours
        (saved / added).unlink()
    else:
        (saved / added).write_text("dear to its owner")
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(OutputError, match="notes.txt" if added == "notes.txt" else "something else"):
        write_folder(saved, config, weights, architecture="BertModel", tokenizer=tokenizer)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_a_failure_while_writing_leaves_the_old_folder(saved, config, weights, tokenizer):
    def fail(stage):
        raise RuntimeError("killed")

    before = (saved / "model.safetensors").read_bytes()
    with pytest.raises(RuntimeError, match="killed"):
        write_folder(saved, config, weights, architecture="BertModel", tokenizer=tokenizer, more=fail)
    assert (saved / "model.safetensors").read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda weights: weights.pop("block_1/output/bias"), "bert.encoder.layer.1.output.dense.bias"),
        (lambda weights: weights.update({"crf/transitions": np.zeros((3, 3))}), "crf/transitions"),
        (lambda weights: weights.update({"pooler/bias": np.zeros(5, np.float32)}), "bert.pooler.dense.bias"),
        (lambda weights: weights.update({"classifier/bias": np.zeros(2, np.float32)}), "id2label=3"),
    ],
)
def test_weights_that_would_not_load_are_not_written(tmp_path, config, weights, tokenizer, edit, said):
    edit(weights)
    with pytest.raises(CheckpointError, match=re.escape(said)):
        write_folder(
            tmp_path / "out",
            config,
            weights,
            architecture="BertForSequenceClassification",
            tokenizer=tokenizer,
            labels=LABELS,
        )
    assert list(tmp_path.iterdir()) == []


def test_an_architecture_we_cannot_write_is_refused(tmp_path, config, weights, tokenizer):
    with pytest.raises(CheckpointError, match="'GPT2Model' cannot be written"):
        write_folder(tmp_path / "out", config, weights, architecture="GPT2Model", tokenizer=tokenizer)


def test_unknown_keys_of_the_original_config_are_saved_again(tmp_path, downloaded, weights, tokenizer):
    config = json.loads((downloaded / "config.json").read_text())
    (downloaded / "config.json").write_text(json.dumps({**config, "someones_own_key": {"kept": True}}))
    checkpoint = read_folder(downloaded)
    write_folder(
        tmp_path / "again",
        checkpoint.config,
        weights,
        architecture="BertModel",
        tokenizer=tokenizer,
        raw_config=checkpoint.raw_config,
    )
    assert read_folder(tmp_path / "again").raw_config["someones_own_key"] == {"kept": True}


def test_whoever_may_read_the_config_may_read_the_weights(saved):
    modes = {(saved / name).stat().st_mode for name in ("config.json", "model.safetensors")}
    assert len(modes) == 1
