"""BERT on TensorFlow and Keras 3, from text to a served answer.

The public names, resolved on first use, so that `import keras_bert` imports neither TensorFlow nor Keras.
"""

import importlib
import importlib.metadata
import warnings

__version__ = "0.1.0"

_HOME = {
    "AdamW": "keras_bert.training.optimizer",
    "Bert": "keras_bert.bert",
    "BertConfig": "keras_bert.config",
    "CorpusSettings": "keras_bert.corpus.settings",
    "Lamb": "keras_bert.training.lamb",
    "Masker": "keras_bert.corpus.masking",
    "PretrainingData": "keras_bert.corpus.source",
    "PretrainingRecords": "keras_bert.corpus.reading",
    "Resume": "keras_bert.training.resume",
    "Sentinel": "keras_bert.training.sentinel",
    "TextIndex": "keras_bert.search",
    "Tokenizer": "keras_bert.text.tokenizer",
    "WarmupCosine": "keras_bert.training.schedule",
    "WarmupLinear": "keras_bert.training.schedule",
    "WarmupPolynomial": "keras_bert.training.schedule",
    "WarmupStableDecay": "keras_bert.training.schedule",
    "attend_locally": "keras_bert.training.local_start",
    "embed_cooccurrence": "keras_bert.training.cooccurrence",
    "attention_scores": "keras_bert.encoder",
    "bert_encoder": "keras_bert.encoder",
    "build_corpus": "keras_bert.corpus.build",
    "extend_vocabulary": "keras_bert.checkpoints.vocabulary_change",
    "learn_vocabulary": "keras_bert.text.learn",
    "load": "keras_bert.loading",
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


def _warn_of_the_other_package():
    """PyPI's `keras-bert` is an older, unrelated package that imports under our name: the two mix files."""
    try:
        importlib.metadata.distribution("keras-bert")
    except importlib.metadata.PackageNotFoundError:
        return
    warnings.warn(
        "The unrelated package `keras-bert` is installed beside `keras-bert-kit`; both import as keras_bert "
        "and overwrite each other's files. Run: pip uninstall keras-bert, then reinstall keras-bert-kit.",
        stacklevel=3,
    )


_warn_of_the_other_package()
