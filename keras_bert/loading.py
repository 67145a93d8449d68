"""`load`: a checkpoint of any known kind as a `Bert`, with the head it has or the one asked for."""

import dataclasses
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

from keras_bert.bert import Bert
from keras_bert.checkpoints.architectures import ARCHITECTURES, architecture_for
from keras_bert.checkpoints.checkpoint import (
    Checkpoint,
    check_files,
    encoder_weights,
    head_weights,
    own_weights,
    read_folder,
)
from keras_bert.checkpoints.find import find_folder
from keras_bert.checkpoints.keras_hub import checkpoint_of
from keras_bert.checkpoints.name_table import DECODER, HEADS, MASKED_LM, NEXT_SENTENCE
from keras_bert.checkpoints.names import rows
from keras_bert.checkpoints.tokenizer_files import read_tokenizer
from keras_bert.errors import UsageError
from keras_bert.tasks import TASKS, task_class
from keras_bert.text.tokenizer import Tokenizer

_PRETRAINING = (MASKED_LM, NEXT_SENTENCE)  # heads without classes: what one learnt serves another task too


def load(
    name,
    task=None,
    *,
    lowercase=None,
    dtype=None,
    activation=None,
    dropout=None,
    revision="main",
    vocabulary=None,
    **settings,
) -> Bert:
    """A BERT from a checkpoint, with the head it has or the one asked for.

    Args:
        name: str or path. A model folder of Hugging Face (safetensors, .bin, tf_model.h5),
            sentence-transformers, Google (TensorFlow 1), Model Garden, TF-Hub, keras-hub or ours; or the name
            of a model in the local Hugging Face cache; or `"hf://name@revision"`, which is downloaded. Or a
            live `BertBackbone` of keras-hub.
        task: str or None. A task's name; None means the folder's own, or no task at all.
        lowercase: bool or None. None means what the folder says, or its vocabulary shows.
        dtype: str or None. `"float32"` or `"mixed_bfloat16"`; None means Keras' global policy.
        activation: str or None. Overrides the config's: what "gelu" meant is not always written down.
        dropout: float or None. Overrides the config's, of hidden states and attention both: a model
            pretrained without is often fine-tuned with some.
        revision: str. Branch, tag or commit, of a name in the cache.
        vocabulary: path, sequence of str or `Vocabulary`. In place of the folder's; a live backbone has none.
        **settings: the task's, such as `labels=[...]` or `max_length=128`. What is not given is the
            folder's.
    Returns:
        Bert. The head's weights are the folder's where it has this head with these labels; otherwise the
        head starts fresh. A head that belongs to none of our tasks is `bert.head_model`.
    Raises:
        CheckpointError, ConfigError, VocabularyError: the folder cannot be used; the message says why.
        UsageError: an unknown task, or settings it lacks.
    """
    checkpoint = _open(name, revision)
    if vocabulary is not None:
        tokenizer = Tokenizer(vocabulary, lowercase=lowercase is None or lowercase)
    else:
        tokenizer = read_tokenizer(checkpoint.path, lowercase)
    config = checkpoint.config.with_dropout(dropout)
    if activation:
        config = config.replace(activation=activation)
    checkpoint = dataclasses.replace(checkpoint, config=config)
    own_task, own_settings = _task_of(checkpoint)
    if task is None and own_task is None and settings:
        raise UsageError(
            f"{checkpoint.path} has no head, and no task was named", expected="task=... beside its settings"
        )
    task = task or own_task
    # A head that no task is loaded for by itself, such as a masked LM's, is that task's if it is asked for.
    is_own = task == own_task or (own_task is None and task and checkpoint.head == _head_of(task))
    if task == own_task:
        settings = {**_without_old_classes(own_settings, settings), **settings}
    elif checkpoint.pooling and task:
        settings = {**_pooling_settings(checkpoint.pooling, task), **settings}
    with ThreadPoolExecutor(1) as beside:  # hashing takes as long as building, and another core
        hashes = beside.submit(check_files, checkpoint.path)
        found = encoder_weights(checkpoint)
        bert = Bert.from_config(
            checkpoint.config, tokenizer, task, dtype=dtype, blank=not found.missing, **settings
        )
        bert.raw_config, bert.pooling = checkpoint.raw_config, checkpoint.pooling
        assign(bert.encoder, found.weights)
        messages = [f"{path} is not in the checkpoint and starts fresh" for path in sorted(found.missing)]
        messages += _load_head(bert, checkpoint, is_own, own_settings)
        messages = [*checkpoint.warnings, *hashes.result(), *messages]
    for message in messages:
        warnings.warn(f"{checkpoint.path}: {message}", stacklevel=2)
    return bert


def _open(name, revision: str) -> Checkpoint:
    if isinstance(name, str | os.PathLike):
        return read_folder(find_folder(name, revision), check_hashes=False)
    return checkpoint_of(name)


def _load_head(bert: Bert, checkpoint: Checkpoint, is_own_task: bool, own_settings: dict) -> list[str]:
    """Gives the model its head's weights; returns what a user should be told about those left behind."""
    if checkpoint.head is None:
        return _load_own(bert, checkpoint) if is_own_task and "task" in checkpoint.extras else []
    parts = ARCHITECTURES[architecture_for(checkpoint.head)].parts
    parts = [part for part in parts if part in HEADS]
    if bert.task is None:
        bert.add_head(
            checkpoint.head, checkpoint.num_classes, tied=checkpoint.tied, config=checkpoint.head_config
        )
        if MASKED_LM in parts and not checkpoint.tied:
            parts.append(DECODER)
        assign(bert.head_model, head_weights(checkpoint, parts))
        bert.head_labels = checkpoint.labels
        return []
    # A task whose classes are fixed has no setting for them; `config.json` names them all the same.
    own_labels = own_settings.get("labels") or checkpoint.labels
    has_all = {part for part in _parts_of(bert.task) if part in HEADS} <= {*parts}
    asked = bert.task.saved_labels
    if is_own_task and has_all and (asked is None or _same_classes(own_labels, asked)):
        assign(bert.model, head_weights(checkpoint))
        return _load_own(bert, checkpoint)
    # Parts that the task's head has as well, such as the masked LM of one that has no next sentence.
    shared = [part for part in parts if part in _PRETRAINING and part in _parts_of(bert.task)]
    given = head_weights(checkpoint, shared)
    assign(bert.model, given)
    weights = checkpoint.weights
    others = [part for part in parts if part not in shared]
    left = [source for row in rows(0, others) for source in row.sources(weights.dialect, weights.prefix)]
    left = [source for source in left if source in weights.stored]
    known = {variable.path for variable in bert.encoder.weights} | given.keys()
    fresh = [variable.path for variable in bert.model.weights if variable.path not in known]
    if not left and not fresh:
        return []
    if not left:
        return [f"{', '.join(fresh)} start fresh"]
    if not fresh:
        return [f"not used: {', '.join(left)}"]
    return [f"its head ({checkpoint.head}) is not used: {', '.join(left)}; starts fresh: {', '.join(fresh)}"]


def _load_own(bert: Bert, checkpoint: Checkpoint) -> list[str]:
    """Gives the model the weights that only we have a name for; returns which of them are not there."""
    if bert.task is None or not bert.task.own_layers:
        return []
    weights = own_weights(checkpoint)
    assign(bert.model, weights)
    own = [v.path for v in bert.model.weights if v.path.split("/")[0] in bert.task.own_layers]
    return [f"{path} is not in the checkpoint and starts fresh" for path in own if path not in weights]


def _without_old_classes(own: dict, given: dict) -> dict:
    """The folder's settings, without what was chosen for its classes where others are given."""
    if given.get("labels") is None or list(given["labels"]) == list(own.get("labels", ())):
        return own
    return {name: value for name, value in own.items() if name not in ("thresholds", "values")}


def _head_of(task: str) -> str | None:
    return ARCHITECTURES[task_class(task).architecture].head


def _parts_of(task) -> tuple[str, ...]:
    return ARCHITECTURES[task.architecture].parts


def _task_of(checkpoint) -> tuple[str | None, dict]:
    """The task a folder was saved with: (name, settings), or (None, {})."""
    saved = dict(checkpoint.extras.get("task") or {})
    if saved.get("name") in TASKS:
        return saved.pop("name"), saved
    if checkpoint.head == "question_answering":
        return "question_answering", {}
    if checkpoint.head == "token_classification":
        return "tagging", task_class("tagging").settings_from_labels(_classes_of(checkpoint)["labels"])
    if checkpoint.head != "sequence_classification" or not checkpoint.num_classes:
        return None, {}
    problem = checkpoint.raw_config.get("problem_type")
    if checkpoint.num_classes == 1 or problem == "regression":  # as transformers takes one output
        return ("regression", {}) if checkpoint.num_classes == 1 else (None, {})
    name = "multi_label" if problem == "multi_label_classification" else "classification"
    return name, _classes_of(checkpoint)


def _pooling_settings(pooling, task: str) -> dict:
    """What sentence-transformers' files say of a task: its length, and how one vector is made of a text."""
    settings = {"max_length": pooling.max_length} if pooling.max_length else {}
    if task == "similarity":
        settings |= {"pooling": pooling.mode, "normalize": pooling.normalize}
    return settings


def _classes_of(checkpoint) -> dict:
    """The class names of a checkpoint; Hugging Face leaves them out where they are LABEL_0, LABEL_1 ..."""
    labels = checkpoint.labels
    if labels is None and checkpoint.num_classes:
        labels = [f"LABEL_{i}" for i in range(checkpoint.num_classes)]
    return {} if labels is None else {"labels": labels}


def _same_classes(own, asked) -> bool:
    """Whether a folder's head is the one asked for: the same classes, or as many that had no names yet."""
    if own is None or asked is None:
        return own is None and asked is None
    unnamed = all(label == f"LABEL_{i}" for i, label in enumerate(own))
    return tuple(own) == tuple(asked) or (unnamed and len(own) == len(asked))


def assign(model, weights):
    """Puts arrays into the variables of the same path, one read from its file after the other."""
    for variable in model.weights:
        if variable.path in weights:
            variable.assign(weights[variable.path])
