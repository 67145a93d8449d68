"""What a served model can be asked: concrete functions from named tensors to the task's answer.

    serving_default   strings, named as the task's required columns
    text_text_pair    strings, all columns of the task, where some are optional; named by joining them
    intent            strings, for the part of that name of a task that has parts
    ids               token_ids, segment_ids int32 (B, T), length int32 (B,)

A TensorFlow signature has no optional inputs, so that every set of columns needs one of its own. The outputs
have the names of the task's answer everywhere.
"""

import tensorflow as tf

from keras_bert.errors import UsageError
from keras_bert.export.batching import joined, joined_ids
from keras_bert.features import ENCODER_FEATURES, tensor_specs
from keras_bert.inference import text_specs

DEFAULT = "serving_default"
IDS = "ids"


class Served(tf.Module):
    """What TensorFlow must store beside the functions: their variables, each once, and the lookup tables.

    The Keras model itself is not tracked: a SavedModel that tracks it stores every weight a second time,
    and with them what only training needs.

    Args:
        functions: iterable of concrete functions.
        tokenizer: `InGraphTokenizer`, or None where no function tokenises.
    """

    def __init__(self, functions, tokenizer=None):
        super().__init__(name="served")
        if tokenizer is not None:
            self.tokenizer = tokenizer
        used = {id(variable): variable for function in functions for variable in function.graph.variables}
        self.weights = list(used.values())

    @property
    def num_parameters(self) -> int:
        """Numbers in the stored variables."""
        return sum(variable.shape.num_elements() for variable in self.weights)

    @property
    def num_bytes(self) -> int:
        """Bytes of the stored variables, each counted once."""
        return sum(variable.shape.num_elements() * variable.dtype.size for variable in self.weights)


def text_signatures(bert, columns=None, in_graph_batching=False) -> dict:
    """Concrete functions from string columns (B,) to the answer, by signature name.

    Args:
        bert: `Bert` with a task.
        columns: sequence of str or None. The columns `serving_default` takes; None means those that every
            row must have.
        in_graph_batching: bool. Join requests in the graph, see `batching`.
    Raises:
        UsageError: a column the task does not have, or a required one left out.
    """
    task = bert.task
    required = (*task.columns, *task.list_columns)
    default = required if columns is None else tuple(columns)
    known = (*required, *task.optional_columns)
    missing = [name for name in required if name not in default]
    unknown = [name for name in default if name not in known]
    if missing or unknown:
        fault = f"has no column {unknown[0]!r}" if unknown else f"needs the column {missing[0]!r}"
        raise UsageError(
            f"The task {fault}",
            where="columns", expected=f"{', '.join(required)}, and any of {', '.join(known)}",
        )  # fmt: skip
    names = {DEFAULT: default}
    for others in (required, known):
        if set(others) != set(default):
            names["_".join(others)] = others
    functions = {name: _text_function(bert, columns, in_graph_batching) for name, columns in names.items()}
    for part in task.parts:
        one = bert.part(part)
        known = (*one.task.columns, *one.task.optional_columns)
        for columns in dict.fromkeys((one.task.columns, known)):
            name = part_signatures(part, columns)[columns != one.task.columns]
            functions[name] = _text_function(one, columns, in_graph_batching)
    return functions


def part_signatures(part: str, columns) -> tuple:
    """What the signature of a part's texts is called: of those it needs, and with those it may have."""
    return part, f"{part}_{'_'.join(columns)}"


def ids_signature(bert, in_graph_batching=False, portable=False):
    """The concrete function from ids and lengths to the answer; the padding mask is rebuilt inside.

    `portable`: with operations that runtimes other than TensorFlow's know too.
    """
    answerer = bert.portable_answerer if portable else bert.answerer
    if not in_graph_batching:
        return answerer.ids.get_concrete_function()
    specs = answerer.id_specs()
    run = joined_ids(lambda ids: answerer.ids(**ids), specs, bert.config.max_sequence_length)
    return _named(run, specs)


def static_signature(bert, length: int):
    """The concrete function of one padded sequence, without strings: what a phone runs.

    Args:
        bert: `Bert` with a task.
        length: int. The fixed length L.
    Returns:
        Concrete function: token_ids, segment_ids, padding_mask int32 (1, L) -> the numbers of the answer.
    """

    def answer(**features):
        features = bert.task.from_ids(features)
        outputs = bert.task.answer(bert.task.outputs(bert.model, features), features)
        return {name: tensor for name, tensor in outputs.items() if tensor.dtype != tf.string}

    return tf.function(answer, autograph=False).get_concrete_function(
        **tensor_specs(*ENCODER_FEATURES, batch=1, length=length)
    )


def static_text_signatures(bert, length: int, tokenizer) -> dict:
    """Concrete functions of one text, or pair, to the numbers of the answer, by signature name.

    Args:
        bert: `Bert` with a task.
        length: int. What is read of a text, in tokens.
        tokenizer: `DenseTokenizer`.
    Returns:
        dict of concrete functions: string columns (1,) -> the answer; named as those of a SavedModel.
    """
    asked = {None: bert, **{part: bert.part(part) for part in bert.task.parts}}
    functions = {}
    for part, one in asked.items():
        task = one.task.resized(length)
        if task.list_columns or task.allow_special:
            raise UsageError(
                f"The task {task.name} takes more than plain texts", where="text_input",
                expected="a task of texts and pairs of texts",
                remedy="export the ids alone, without text_input",
            )  # fmt: skip
        for columns in dict.fromkeys((task.columns, (*task.columns, *task.optional_columns))):
            names = (DEFAULT, "_".join(columns)) if part is None else part_signatures(part, columns)
            try:
                name = names[columns != task.columns]
                functions[name] = _static_text_function(one, task, columns, tokenizer)
            except UsageError:
                if columns == task.columns:
                    raise
                # A pair that is two sequences has no signature; one text still has.
    return functions


def _static_text_function(bert, task, columns, tokenizer):
    def answer(**texts):
        features = task.features(texts, tokenizer)
        outputs = task.answer(task.outputs(bert.model, features), features)
        return {name: tensor for name, tensor in outputs.items() if tensor.dtype != tf.string}

    specs = {name: tf.TensorSpec([1], tf.string, name=name) for name in columns}
    # A refusal of the tokeniser's must come through as it is.
    return tf.function(answer, autograph=False).get_concrete_function(**specs)


def input_names(function) -> list:
    """The names of the tensors a concrete function takes."""
    positional, by_name = function.structured_input_signature
    return [*(spec.name for spec in positional), *by_name]


def names_of(functions: dict) -> dict:
    """What each signature takes and answers: {"inputs", "outputs"} by name."""
    return {
        name: {"inputs": input_names(function), "outputs": sorted(function.structured_outputs)}
        for name, function in functions.items()
    }


def _text_function(bert, columns, in_graph_batching):
    specs = text_specs(bert.task, columns)
    # Lists of texts are not joined: two of unequal length would fail one another.
    joins = in_graph_batching and not bert.task.list_columns
    return _named(joined(bert.answerer.text, specs) if joins else bert.answerer.text, specs)


def _named(function, specs):
    """The concrete function of a function of a dict, that takes the tensors by name."""

    def answer(**tensors):
        return function(tensors)

    return tf.function(answer, autograph=False).get_concrete_function(**specs)
