"""The genuine all-MiniLM-L6-v2 through our loader and encoder, against what Hugging Face made of it."""

import pathlib

import numpy as np
import pytest

from keras_bert.checkpoints.folder import encoder_weights, read_folder
from keras_bert.files.manifest import sha256_of

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "minilm_encoder.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


@pytest.fixture
def encoder(minilm_folder):
    from keras_bert.encoder import bert_encoder

    checkpoint = read_folder(minilm_folder)
    encoder = bert_encoder(checkpoint.config, dtype="float32")
    weights = encoder_weights(checkpoint).weights
    for variable in encoder.weights:
        variable.assign(weights.pop(variable.path))
    assert not weights
    return encoder


# One token attends to itself alone, which Keras takes for a mistake.
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis:UserWarning")
def test_the_encoder_gives_what_hugging_face_gives(minilm_folder, golden, encoder):
    assert sha256_of(minilm_folder / "model.safetensors") == str(golden["weights_sha256"])
    for case in ("length_1", "length_7", "length_128", "length_512", "padding", "pairs"):
        inputs = {name: golden[f"{case}/{name}"] for name in ("token_ids", "segment_ids", "padding_mask")}
        outputs = encoder(inputs, training=False)
        positions = golden[f"{case}/positions"]
        ours = np.asarray(outputs["sequence_output"])[:, positions]
        real = inputs["padding_mask"][:, positions].astype(bool)
        assert np.abs(ours - golden[f"{case}/sequence_output"])[real].max() <= 1e-5, case
        assert np.abs(np.asarray(outputs["pooled_output"]) - golden[f"{case}/pooled_output"]).max() <= 1e-5, (
            case
        )
