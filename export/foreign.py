"""Signatures of other libraries, so that clients that exist go on working.

huggingface   input_ids, token_type_ids, attention_mask  ->  logits
google        input_ids, segment_ids, input_mask  ->  logits, and probabilities of classes

classify, regress   `tf.Example`s of the task's columns  ->  what the server's Classify and Regress return
"""

import numpy as np
import tensorflow as tf

from keras_bert.errors import UsageError
from keras_bert.export.asking import answered, tensors
from keras_bert.export.proof import Question
from keras_bert.features import ENCODER_FEATURES, tensor_specs

NAMES = {
    "huggingface": {
        "token_ids": "input_ids", "segment_ids": "token_type_ids", "padding_mask": "attention_mask",
    },
    "google": {"token_ids": "input_ids", "segment_ids": "segment_ids", "padding_mask": "input_mask"},
}  # fmt: skip
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def named_signature(bert, names: str):
    """The concrete function from ids under another library's names to what the model itself puts out.

    A server that joins requests of unequal length repeats their first elements: the mask gets ones, and the
    ids get [CLS]. What stands behind the last [SEP] is therefore no text, whatever the mask says.

    Args:
        bert: `Bert` with a task.
        names: str. A key of `NAMES`.
    Raises:
        UsageError: there are no such names.
    """
    if names not in NAMES:
        raise UsageError(
            f"There are no signature names {names!r}", where="signature_names",
            expected=f"one of {', '.join(NAMES)}",
        )  # fmt: skip
    renamed, tokenizer, task = NAMES[names], bert.answerer.tokenizer, bert.task

    def answer(**given):
        features = {ours: given[theirs] for ours, theirs in renamed.items()}
        ids = features["token_ids"]
        places = tf.range(tf.shape(ids)[1])[None]
        last = tf.reduce_max(tf.where(ids == tokenizer.sep_id, places, -1), axis=1, keepdims=True)
        is_text = (places <= last) | (last < 0)
        features["padding_mask"] *= tf.cast(is_text, tf.int32)
        features = task.from_ids(features)
        outputs = task.outputs(bert.model, features)
        answer = task.logits(outputs, features)
        if names == "google":
            numbers = task.answer(outputs, features)
            answer |= {"probabilities": numbers["scores"]} if task.labels and "scores" in numbers else {}
        return answer

    specs = tensor_specs(*ENCODER_FEATURES)
    specs = {
        theirs: tf.TensorSpec(specs[ours].shape, tf.int32, name=theirs) for ours, theirs in renamed.items()
    }
    return tf.function(answer, autograph=False).get_concrete_function(**specs)


def example_signature(bert, columns):
    """(name, method, concrete function) from serialised `tf.Example`s to classes or a number.

    Args:
        bert: `Bert` with a task.
        columns: sequence of str. The features of an example; a missing one is an empty text.
    Raises:
        UsageError: the task answers neither scores of classes nor one number.
    """
    features = {name: tf.io.FixedLenFeature([], tf.string, default_value="") for name in columns}

    def of_texts(inputs):
        return bert.answerer.text(tf.io.parse_example(inputs, features))

    def classify(inputs):
        scores = of_texts(inputs)["scores"]  # (B, C)
        classes = tf.tile(tf.constant([bert.task.labels]), [tf.shape(scores)[0], 1])
        return {"classes": classes, "scores": scores}

    def regress(inputs):
        return {"outputs": of_texts(inputs)["score"]}  # (B,)

    spec = tf.TensorSpec([None], tf.string, name="inputs")
    answer = tf.function(of_texts, autograph=False).get_concrete_function(spec).structured_outputs
    if bert.task.labels and "scores" in answer and answer["scores"].shape.rank == 2:
        return "classify", CLASSIFY, tf.function(classify, autograph=False).get_concrete_function(spec)
    if set(answer) == {"score"}:
        return "regress", REGRESS, tf.function(regress, autograph=False).get_concrete_function(spec)
    raise UsageError(
        "The server's Classify and Regress know classes with scores, and one number; the task answers "
        f"{', '.join(sorted(answer))}",
        where="examples", remedy="leave examples away: Predict serves every task",
    )  # fmt: skip


def named_questions(function, names: str, questions: list, signature: str) -> list:
    """Questions in ids, put to `named_signature` under its names.

    Args:
        function: the signature.
        names: str. A key of `NAMES`.
        questions: list of Question. To the signature of ids and length.
        signature: str. Its name.
    """
    made = []
    for question in questions:
        ids = question.inputs["token_ids"]
        mask = np.arange(ids.shape[1]) < question.inputs["length"][:, None]
        features = {**question.inputs, "padding_mask": mask.astype(np.int32)}
        inputs = {theirs: features[ours] for ours, theirs in NAMES[names].items()}
        made.append(Question(signature, inputs, answered(function, **tensors(inputs))))
    return made


def example_questions(function, questions: list, signature: str) -> list:
    """Questions in texts, put to `example_signature`."""
    made = []
    for question in questions:
        rows = zip(*question.inputs.values(), strict=True)
        examples = [_example(dict(zip(question.inputs, row, strict=True))) for row in rows]
        inputs = {"inputs": np.array(examples, object)}
        made.append(Question(signature, inputs, answered(function, **tensors(inputs))))
    return made


def _example(columns: dict) -> bytes:
    """A serialised `tf.Example` of texts."""
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text])) for name, text in columns.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
