"""BERT on TensorFlow and Keras 3, from text to a served answer.

The public names, resolved on first use, so that `import keras_bert` imports neither TensorFlow nor Keras.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "AdamW": "keras_bert.training.optimizer",
    "Bert": "keras_bert.bert",
    "BertConfig": "keras_bert.config",
    "Tokenizer": "keras_bert.text.tokenizer",
    "WarmupLinear": "keras_bert.training.schedule",
    "attention_scores": "keras_bert.encoder",
    "bert_encoder": "keras_bert.encoder",
    "load": "keras_bert.bert",
}
__all__ = list(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'keras_bert' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return [*__all__, "__version__"]
