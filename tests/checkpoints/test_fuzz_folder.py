"""A sample of the damaged folders of fuzz_folder.py, and by name the faults that it found."""

import collections
import json
import os
import pathlib
import shutil
import sys

import pytest
from fuzz_folder import LAYOUTS, examine, limits, seeds

from keras_bert.checkpoints.checkpoint import read_folder
from keras_bert.checkpoints.inspect import inspect
from keras_bert.checkpoints.tokenizer_files import read_tokenizer
from keras_bert.errors import CheckpointError, ConfigError, VocabularyError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, alarms and named pipes")
PIECES = {piece: index for index, piece in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"))}


@on_linux
def test_every_damaged_folder_is_read_or_refused_by_our_own_error(tmp_path):
    originals, outcomes = seeds(), collections.Counter()
    for number in range(200_000, 200_800):
        result = examine(number, originals, tmp_path)[0]
        assert not result.startswith("FAULT"), f"folder {number}: {result}"
        outcomes[result] += 1
    assert outcomes.keys() == {"done", "refused"} and min(outcomes.values()) > 50, outcomes


# --- named pipes are never waited for ----------------------------------------------------------------------


@on_linux
def test_a_named_pipe_as_index_of_the_shards_is_refused_at_once(downloaded):
    (downloaded / "model.safetensors").unlink()
    os.mkfifo(downloaded / "model.safetensors.index.json")
    with limits(), pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json.*Cannot be read"):
        read_folder(downloaded)


@on_linux
def test_a_named_pipe_as_config_of_the_pooling_is_refused_at_once(tmp_path):
    folder = pathlib.Path(shutil.copytree(LAYOUTS / "sentence_transformers", tmp_path / "model"))
    config = folder / "1_Pooling" / "config.json"
    config.unlink()
    os.mkfifo(config)
    with limits(), pytest.raises(CheckpointError, match=r"1_Pooling/config\.json.*Cannot be read"):
        read_folder(folder)


# --- values of another type --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fast", "word"),
    [
        ({"model": 7}, "model"),
        ({"model": {"vocab": PIECES}, "added_tokens": [3]}, "not described"),
        ({"model": {"vocab": PIECES}, "added_tokens": ["[CLS]"]}, "not described"),
        ({"model": {"vocab": PIECES}, "added_tokens": {"content": "b", "id": 6}}, "added_tokens"),
        ({"model": {"vocab": PIECES}, "added_tokens": [{"content": "b", "id": 6.0}]}, "not described"),
        ({"model": {"vocab": {**PIECES, "b": "6"}}}, "not described"),
        ({"model": {"vocab": {**PIECES, "b": True}}}, "not described"),
        ({"model": {"vocab": {**PIECES, "b": [6]}}}, "not described"),
    ],
)
def test_a_tokenizer_json_of_other_types_is_refused(downloaded, fast, word):
    (downloaded / "vocab.txt").unlink()
    (downloaded / "tokenizer.json").write_text(json.dumps(fast))
    with pytest.raises(VocabularyError, match=word) as refusal:
        read_tokenizer(downloaded)
    assert "tokenizer.json" in str(refusal.value)


def test_the_tokenizer_json_that_those_were_made_of_is_read(downloaded):
    (downloaded / "vocab.txt").unlink()
    fast = {"model": {"vocab": PIECES}, "added_tokens": [{"content": "b", "id": 6}]}
    (downloaded / "tokenizer.json").write_text(json.dumps(fast))
    assert read_tokenizer(downloaded).vocabulary.pieces == (*PIECES, "b")


@pytest.mark.parametrize("key", ["layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob"])
def test_an_integer_that_no_float_can_hold_is_refused(downloaded, key):
    changed(downloaded, **{key: 10**400})
    with pytest.raises(ConfigError) as refusal:
        read_folder(downloaded)
    assert len(str(refusal.value)) < 1000


def changed(folder, **values):
    """config.json with some values changed."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# --- messages can be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["model_type", "hidden_act", "architectures", "hidden_size", "id2label"])
def test_a_megabyte_in_a_value_is_not_shown_whole(downloaded, key):
    changed(downloaded, **{key: "x" * 2**20})
    assert len(inspect(downloaded)["problem"] or "") < 5000
    with pytest.raises((CheckpointError, ConfigError)) as refusal:
        read_folder(downloaded)
    assert len(str(refusal.value)) < 5000


def test_names_that_no_file_can_have_are_refused(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(LAYOUTS / "hf5_sharded", folder)
    index = folder / "model.safetensors.index.json"
    raw = json.loads(index.read_text())
    first = next(iter(raw["weight_map"]))
    raw["weight_map"][first] = "model-\ud800.safetensors"
    index.write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match="weight_map"):
        read_folder(folder)
