"""`save`: a `Bert` as a folder of Hugging Face's, Google's or keras-hub's; the counterpart of `loading`."""

import dataclasses
import warnings

from keras_bert.checkpoints.architectures import ARCHITECTURES, architecture_for
from keras_bert.checkpoints.folder import write_folder
from keras_bert.checkpoints.google import write_google
from keras_bert.checkpoints.keras_hub import write_keras_hub
from keras_bert.errors import UsageError

FORMATS = ("huggingface", "google", "keras_hub")


def save(bert, folder, *, format="huggingface", more=None):
    """Writes a folder that `kb.load` opens, see `Bert.save`."""
    head = ARCHITECTURES[bert.task.architecture].head if bert.task is not None else bert.head
    task = bert.task
    shared = {"head": head, "tokenizer": bert.tokenizer}
    if format == "google":
        write_google(folder, bert.config, bert.weights(), **shared)
    elif format == "keras_hub":
        write_keras_hub(folder, bert.config, bert.weights(), head_config=bert.head_config, **shared)
    elif format == "huggingface":
        write_folder(
            folder,
            config=bert.config,
            weights=bert.weights(),
            architecture=architecture_for(head),
            labels=task.saved_labels if task is not None else bert.head_labels,
            problem_type=task.problem_type if task is not None else bert.raw_config.get("problem_type"),
            own_layers=task.own_layers if task is not None else (),
            tokenizer=bert.tokenizer,
            extras=_extras(bert),
            raw_config=bert.raw_config,
            more=more,
        )
    else:
        raise UsageError(f"There is no format {format!r}", where="format", expected=" or ".join(FORMATS))
    if bert.head_config != bert.config and format != "keras_hub":
        warnings.warn(
            f"{folder}: the head computes with {_head_settings(bert)}, which other libraries take from the "
            "encoder: there its outputs differ by about 1e-3"
        )


def _extras(bert) -> dict:
    """What a Hugging Face folder has no place for."""
    extras = {"task": {"name": bert.task.name, **bert.task.settings()}} if bert.task else {}
    if bert.pooling is not None:
        extras["pooling"] = dataclasses.asdict(bert.pooling)
    if bert.head_config != bert.config:
        extras["head_config"] = _head_settings(bert)
    return extras


def _head_settings(bert) -> dict:
    """The fields in which the head's config differs from the encoder's."""
    own, encoders = bert.head_config.to_dict(), bert.config.to_dict()
    return {name: value for name, value in own.items() if value != encoders[name]}
