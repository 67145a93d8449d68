"""Makes the layouts of keras-hub (keras-nlp): presets as `save_to_preset` writes them.

Without its `task.*` and `preprocessor.json` such a folder is the preset of a bare backbone.

Environment: this project's own, it depends on keras-nlp (0.32.0, Keras 3.15.1, TensorFlow 2.21.0):

    python make_layouts_keras_hub.py [keras_hub_masked_lm]

The masked LM is not kept in the repository (it is 50 KB, and whoever tests with it has keras-nlp to make it).
"""

import sys

import layout_shape as shape
import numpy as np
from keras_nlp import models


def backbone(num_layers):
    """A BertBackbone of our shape; its gelu is the tanh form, its dropout one number."""
    return models.BertBackbone(
        vocabulary_size=shape.CONFIG["vocab_size"],
        num_layers=num_layers,
        num_heads=shape.CONFIG["num_attention_heads"],
        hidden_dim=shape.CONFIG["hidden_size"],
        intermediate_dim=shape.CONFIG["intermediate_size"],
        max_sequence_length=shape.CONFIG["max_position_embeddings"],
        num_segments=shape.CONFIG["type_vocab_size"],
        dropout=shape.CONFIG["hidden_dropout_prob"],
    )


def disturb(model, seed):
    """Seeded noise in every weight."""
    rng = np.random.default_rng(seed)
    model.set_weights([shape.disturbed(rng, weight) for weight in model.get_weights()])


def write(name, model, head):
    """One preset and its .npz; `head(features)` gives the outputs of the head."""
    folder = shape.new_folder(name)
    model.save_to_preset(str(folder))
    for path in folder.glob("*.h5"):
        shape.compact_hdf5(path)
    same = type(model).from_preset(str(folder))
    for before, after in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    features = shape.inputs()
    found = {key: np.asarray(value) for key, value in model.backbone(features).items()}
    shape.write_golden(name, features, {**found, **head(features)})


def tokenizer():
    """Their tokenizer of our vocabulary."""
    return models.BertTokenizer(list(shape.PIECES), lowercase=True)


def masked_lm_outputs(model, features):
    """The logits of every position: their head takes the positions of the masks as an input."""
    rows, length = features["token_ids"].shape
    positions = np.tile(np.arange(length, dtype="int32"), (rows, 1))
    return {"mlm_logits": np.asarray(model({**features, "mask_positions": positions}))}


def keras_hub_classifier():
    """A BertTextClassifier; the preset of its backbone lies in the same folder."""
    preprocessor = models.BertTextClassifierPreprocessor(tokenizer(), sequence_length=20)
    model = models.BertTextClassifier(backbone(2), len(shape.LABELS), preprocessor=preprocessor)
    disturb(model, 300)
    write("keras_hub_classifier", model, lambda features: {"logits": np.asarray(model(features))})


def keras_hub_masked_lm():
    """A BertMaskedLM."""
    preprocessor = models.BertMaskedLMPreprocessor(tokenizer(), sequence_length=20, mask_selection_length=4)
    model = models.BertMaskedLM(backbone(1), preprocessor=preprocessor)
    disturb(model, 301)
    write("keras_hub_masked_lm", model, lambda features: masked_lm_outputs(model, features))


if __name__ == "__main__":
    for name in sys.argv[1:] or ["keras_hub_classifier"]:
        {"keras_hub_classifier": keras_hub_classifier, "keras_hub_masked_lm": keras_hub_masked_lm}[name]()
