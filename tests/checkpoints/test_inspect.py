import json

import numpy as np
import pytest

from keras_bert.checkpoints.inspect import describe, inspect
from keras_bert.checkpoints.safetensors_file import SafetensorsFile, read_tensors, write_tensors


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_facts_of_a_good_folder(saved, config):
    facts = inspect(saved)
    assert facts["loads"] and facts["problem"] is None and facts["mistakes"] == []
    assert facts["config"] == config.to_dict()
    assert facts["num_parameters"] == config.num_parameters + 3 * 4 + 3
    assert facts["dtypes"] == {"float32": 41}
    assert facts["head"] == "sequence_classification, 3 classes"
    assert facts["labels"] == ["negative", "neutral", "positive"]
    assert facts["settings"] == {"task": {"name": "classification"}}
    assert facts["vocabulary_size"] == 10
    assert facts["starts_fresh"] == facts["not_used"] == []
    assert json.loads(json.dumps(facts)) == facts


def test_no_weight_is_read(saved, monkeypatch):
    def refuse(self, name):
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(SafetensorsFile, "__getitem__", refuse)
    assert inspect(saved)["loads"]


def test_what_stays_over_on_both_sides_is_listed(downloaded):
    tensors = dict(read_tensors(downloaded / "model.safetensors"))
    del tensors["bert.pooler.dense.weight"], tensors["classifier.weight"], tensors["classifier.bias"]
    tensors = {name: np.array(array) for name, array in tensors.items()}
    write_tensors(
        downloaded / "model.safetensors", {**tensors, "cls.predictions.bias": np.zeros(10, np.float16)}
    )
    facts = inspect(downloaded)
    assert facts["loads"]
    assert facts["starts_fresh"] == ["pooler/kernel"]
    assert facts["not_used"] == ["cls.predictions.bias"]
    assert facts["head"] is None
    assert facts["dtypes"]["float16"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "roberta"}, "`model_type` is 'roberta'"),
        ({"hidden_size": 8}, "word_embeddings"),
        ({"hidden_act": None}, "`hidden_act` is None"),
        ({"architectures": 3}, "`architectures` is 3"),
    ],
)
def test_a_folder_that_would_not_load_is_told_why(downloaded, changes, said):
    edit_json(downloaded / "config.json", **changes)
    facts = inspect(downloaded)
    assert not facts["loads"] and said in facts["problem"]
    assert facts["model_type"] == changes.get("model_type", "bert")
    assert f"no. {facts['problem']}" in describe(facts)


def test_a_vocabulary_longer_than_the_table_would_not_load(downloaded):
    with open(downloaded / "vocab.txt", "a", encoding="utf-8") as stream:
        stream.write("eleventh\n")
    facts = inspect(downloaded)
    assert not facts["loads"]
    assert "11 pieces, but the model has 10 token embeddings" in facts["problem"]


def test_a_missing_vocabulary_is_told(downloaded):
    (downloaded / "vocab.txt").unlink()
    facts = inspect(downloaded)
    assert not facts["loads"] and "vocab.txt" in facts["problem"]
    assert facts["num_parameters"] > 0


def test_no_folder_at_all_is_a_fact_and_no_exception(tmp_path):
    facts = inspect(tmp_path / "nowhere")
    assert not facts["loads"] and "No such file" in facts["problem"]


def test_a_cased_vocabulary_under_lower_casing_is_a_likely_mistake(downloaded):
    text = (downloaded / "vocab.txt").read_text(encoding="utf-8")
    (downloaded / "vocab.txt").write_text(text.replace("film", "Film"), encoding="utf-8")
    (mistake,) = inspect(downloaded)["mistakes"]
    assert "vocabulary is cased" in mistake
    edit_json(downloaded / "tokenizer_config.json", do_lower_case=False)
    assert inspect(downloaded)["mistakes"] == []


def test_a_lower_case_vocabulary_without_lower_casing_is_a_likely_mistake(downloaded):
    edit_json(downloaded / "tokenizer_config.json", do_lower_case=False)
    (mistake,) = inspect(downloaded)["mistakes"]
    assert "vocabulary has no capitals" in mistake


def test_a_length_beyond_the_positions_is_a_likely_mistake(downloaded):
    edit_json(downloaded / "tokenizer_config.json", model_max_length=512)
    (mistake,) = inspect(downloaded)["mistakes"]
    assert mistake == "model_max_length is 512, but the model has 8 positions"


def test_the_real_model_is_described_as_what_it_is(minilm_folder):
    facts = inspect(minilm_folder)
    assert facts["loads"] and facts["mistakes"] == []
    assert facts["num_parameters"] == 22_713_216
    told = describe(facts)
    for line in (
        "architectures  BertModel",
        "22,713,216",
        "30522 pieces",
        "6 layers, 12 heads, width 384, gelu",
    ):
        assert line in told
