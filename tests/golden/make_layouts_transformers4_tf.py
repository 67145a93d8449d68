"""Makes the layouts of TensorFlow models of transformers 4: `tf_model.h5`, and its rare safetensors form.

Environment: Python 3.11, of its own, never this project's:

    pip install tensorflow-cpu==2.15.1 transformers==4.46.3
    python make_layouts_transformers4_tf.py
"""

import pathlib
import sys
import tempfile

import layout_shape as shape
import numpy as np
import tensorflow as tf
import transformers

HEADS = {  # layout: class, more of its config
    "hf4_tf_bert_model": ("TFBertModel", {}),
    "hf4_tf_pretraining": ("TFBertForPreTraining", shape.SHORT),
    "hf4_tf_classification": ("TFBertForSequenceClassification", {**shape.SHORT, **shape.LABEL_KEYS}),
    "hf4_tf_tagging": ("TFBertForTokenClassification", {**shape.SHORT, **shape.LABEL_KEYS}),
    "hf4_tf_question_answering": ("TFBertForQuestionAnswering", shape.SHORT),
}
LOGITS = {  # class: their output to its name in the .npz; elsewhere `logits` stays `logits`
    "TFBertForPreTraining": {"prediction_logits": "mlm_logits", "seq_relationship_logits": "nsp_logits"},
    "TFBertForQuestionAnswering": {"start_logits": "start_logits", "end_logits": "end_logits"},
    "TFBertModel": {},
}


def in_their_words(features):
    """Our inputs with their names."""
    return {
        "input_ids": tf.constant(features["token_ids"]),
        "token_type_ids": tf.constant(features["segment_ids"]),
        "attention_mask": tf.constant(features["padding_mask"]),
    }


def new_model(name, more, seed):
    """A model of the class `name`, built, with seeded noise in every weight."""
    rng = np.random.default_rng(seed)
    model = getattr(transformers, name)(transformers.BertConfig(**{**shape.CONFIG, **more}))
    model(in_their_words(shape.inputs()))
    model.set_weights([shape.disturbed(rng, weight) for weight in model.get_weights()])
    return model


def outputs(model):
    """What the .npz holds of a model: the encoder's outputs, then the head's."""
    features = in_their_words(shape.inputs())
    states = model.bert(features)
    found = {"sequence_output": states.last_hidden_state}
    if states.pooler_output is not None:
        found["pooled_output"] = states.pooler_output
    answer = model(features)
    for theirs, ours in LOGITS.get(type(model).__name__, {"logits": "logits"}).items():
        found[ours] = answer[theirs]
    return {key: value.numpy() for key, value in found.items()}


def write(name, model, **options):
    """One layout: weights, config, tokeniser, and the .npz."""
    folder = shape.new_folder(name)
    model.save_pretrained(folder, **options)
    with tempfile.TemporaryDirectory() as temporary:
        shape.write_vocabulary(pathlib.Path(temporary))
        tokenizer = transformers.BertTokenizer.from_pretrained(temporary)
    tokenizer.save_pretrained(folder)
    shape.clean_json(folder)
    for path in folder.glob("*.h5"):
        shape.compact_hdf5(path)
        same = type(model).from_pretrained(folder)
        for before, after in zip(model.get_weights(), same.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
    shape.write_golden(name, shape.inputs(), outputs(model))


def main():
    transformers.logging.set_verbosity_error()
    for seed, (name, (architecture, more)) in enumerate(HEADS.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        write(name, new_model(architecture, more, 100 + seed))
    model = new_model("TFBertForSequenceClassification", {**shape.SHORT, **shape.LABEL_KEYS}, 120)
    write("hf4_tf_safetensors", model, safe_serialization=True)


if __name__ == "__main__":
    main()
