"""Makes the layouts of the old Keras packages: CyberZHG's keras-bert, and bert4keras.

Environment: Python 3.7, of its own, never this project's (which that keras-bert is not):

    pip install tensorflow==1.15.5 "protobuf<3.21" "h5py<3" keras==2.3.1 keras-bert==0.89.0 bert4keras==0.11.5
    python make_layouts_cyberzhg.py keras_bert_cyberzhg
    python make_layouts_cyberzhg.py bert4keras

Neither writes a config: beside their weights lie the `bert_config.json` and `vocab.txt` of the model they
started from. Both take padding from the token id 0. gelu is the tanh form in keras-bert, erf in bert4keras.
"""

import json
import sys

import layout_shape as shape
import numpy as np

VALUES = dict(shape.CONFIG, **shape.SHORT)


def disturb(model, seed):
    """Seeded noise in every weight."""
    rng = np.random.default_rng(seed)
    model.set_weights([shape.disturbed(rng, weight) for weight in model.get_weights()])


def write_files(folder):
    """`bert_config.json` and `vocab.txt`."""
    (folder / "bert_config.json").write_text(json.dumps(VALUES, indent=2) + "\n")
    shape.write_vocabulary(folder)


def keras_bert_cyberzhg():
    """The pretraining model of keras-bert, `save_weights`."""
    from tensorflow import keras

    import keras_bert

    features = shape.inputs()
    rows, length = features["token_ids"].shape
    model = keras_bert.get_model(
        token_num=VALUES["vocab_size"],
        pos_num=VALUES["max_position_embeddings"],
        seq_len=length,
        embed_dim=VALUES["hidden_size"],
        transformer_num=VALUES["num_hidden_layers"],
        head_num=VALUES["num_attention_heads"],
        feed_forward_dim=VALUES["intermediate_size"],
        training=True,
    )
    disturb(model, 600)
    outputs = {
        "sequence_output": "Encoder-1-FeedForward-Norm",
        "pooled_output": "NSP-Dense",
        "mlm_probabilities": "MLM-Sim",
        "nsp_probabilities": "NSP",
    }
    tensors = [model.get_layer(layer).output for layer in outputs.values()]
    everything = np.ones((rows, length), "int32")
    answer = keras.models.Model(model.inputs, tensors).predict(
        [features["token_ids"], features["segment_ids"], everything]
    )
    folder = shape.new_folder("keras_bert_cyberzhg")
    model.save_weights(str(folder / "model.h5"))
    shape.compact_hdf5(folder / "model.h5")
    weights = model.get_weights()
    model.load_weights(str(folder / "model.h5"))
    assert all(np.array_equal(*pair) for pair in zip(weights, model.get_weights()))  # noqa: B905
    write_files(folder)
    shape.write_golden(folder.name, features, {name: answer[i] for i, name in enumerate(outputs)})


def bert4keras():
    """One model of bert4keras, saved both ways: `save_weights`, and as a checkpoint with Google's names."""
    from bert4keras.backend import keras
    from bert4keras.models import build_transformer_model

    weights, checkpoint = shape.new_folder("bert4keras_weights"), shape.new_folder("bert4keras_checkpoint")
    for folder in (weights, checkpoint):
        write_files(folder)
    bert = build_transformer_model(
        str(weights / "bert_config.json"),
        with_pool=True,
        with_nsp=True,
        with_mlm="linear",
        return_keras_model=False,
    )
    disturb(bert.model, 601)
    outputs = {
        "sequence_output": "Transformer-0-FeedForward-Norm",
        "pooled_output": "Pooler-Dense",
        "nsp_probabilities": "NSP-Proba",
        "mlm_logits": "MLM-Bias",
    }
    features = shape.inputs()
    tensors = [bert.model.get_layer(layer).output for layer in outputs.values()]
    answer = keras.models.Model(bert.model.inputs, tensors).predict(
        [features["token_ids"], features["segment_ids"]]
    )
    bert.model.save_weights(str(weights / "best_model.weights"))
    before = bert.model.get_weights()
    shape.compact_hdf5(weights / "best_model.weights")
    bert.model.load_weights(str(weights / "best_model.weights"))
    assert all(np.array_equal(*pair) for pair in zip(before, bert.model.get_weights()))  # noqa: B905
    bert.save_weights_as_checkpoint(str(checkpoint / "bert_model.ckpt"))
    for file in ("bert_model.ckpt.meta", "checkpoint"):  # a graph of no use, and the path of this machine
        (checkpoint / file).unlink()
    for folder in (weights, checkpoint):
        shape.write_golden(folder.name, features, {name: answer[i] for i, name in enumerate(outputs)})


if __name__ == "__main__":
    {"keras_bert_cyberzhg": keras_bert_cyberzhg, "bert4keras": bert4keras}[sys.argv[1]]()
