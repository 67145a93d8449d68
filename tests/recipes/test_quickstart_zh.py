"""SimBERT-tiny, a real TF1 checkpoint with factorised embeddings: read exactly, led down the whole road."""

import json
from pathlib import Path

import numpy as np
import pytest

from keras_bert.errors import MissingExtraError
from keras_bert.recipes.languages import LANGUAGES, pretrained_folder

GOLDEN = Path(__file__).parents[1] / "golden/simbert_hidden.npz"


@pytest.fixture(scope="module")
def simbert_folder(tmp_path_factory):
    """The unpacked checkpoint, where its package is installed."""
    try:
        folder = pretrained_folder(LANGUAGES["zh"], tmp_path_factory.mktemp("simbert") / "model")
    except MissingExtraError:
        pytest.skip(f"no real Chinese weights: {LANGUAGES['zh'].install}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "form"), [("gelu", "erf"), ("gelu_approximate", "tanh")])
def test_simbert_gives_the_hidden_states_of_a_plain_numpy_forward(activation, form, simbert_folder):
    import keras_bert as kb

    golden = np.load(GOLDEN)
    bert = kb.load(simbert_folder, activation=activation)
    tensors = {name: golden[name] for name in ("token_ids", "segment_ids", "padding_mask")}
    encoded = [
        bert.tokenizer.encode(text, pair or None)
        for text, pair in zip(golden["text"].tolist(), golden["text_pair"].tolist(), strict=True)
    ]
    for ids, mask, row in zip(golden["token_ids"], golden["padding_mask"], encoded, strict=True):
        assert ids[mask == 1].tolist() == list(row.token_ids)
    hidden = np.asarray(bert.encoder(tensors)["sequence_output"])
    real = golden["padding_mask"][:, :, None]
    # The two forms of gelu differ by 4.3e-3 here.
    np.testing.assert_allclose(hidden[:, 0], golden[f"cls_{form}"], atol=1e-5)
    np.testing.assert_allclose((hidden * real).sum(1) / real.sum(1), golden[f"mean_{form}"], atol=1e-5)


@pytest.mark.slow
def test_the_chinese_quickstart_goes_the_whole_road(simbert_folder, tmp_path, capsys):
    from keras_bert.cli.main import main

    # Its masked-LM head has no place in a classifier, and the user is told so.
    with pytest.warns(UserWarning, match="starts fresh: classifier"):
        assert main(["quickstart", "--language=zh", f"--output_dir={tmp_path}/out"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("Keras", "SavedModel", "TFLite float32", "TFLite dynamic int8"))
    config = json.loads((tmp_path / "out/model/config.json").read_text(encoding="utf-8"))
    assert config["hidden_act"] == "gelu"  # the erf form, which its authors trained with
    assert config["id2label"] == {"0": "差评", "1": "好评"}
    assert float(printed.split("\nKeras ")[1].split()[0]) > 0.65  # 0.5 is chance
    for path in ("serving/1/saved_model.pb", "serving-ids/1/saved_model.pb", "model.tflite"):
        assert (tmp_path / "out" / path).is_file()
