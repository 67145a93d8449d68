"""The flags that several verbs share, and what they mean to the library."""

import contextlib
import json
import os
import pathlib
import platform
import sys

from absl import flags

from keras_bert.config import ACTIVATIONS
from keras_bert.errors import DataError, UsageError
from keras_bert.training.clusters import CLUSTERS
from keras_bert.training.strategies import STRATEGIES

HIGHEST_SEED = 2**32 - 1  # that NumPy takes
# What a column of the user's file may be, of all tasks.
COLUMNS = ("text", "text_pair", "label", "labels", "score", "spans", "question", "context", "answers",
           "choices", "negative", "sample_weight")  # fmt: skip


def define_model(values):
    """--model_dir and what changes how it is read."""
    flags.DEFINE_string("model_dir", None, "folder of the model", flag_values=values)
    flags.DEFINE_bool(
        "do_lower_case",
        None,
        "lower-case the text; without it what tokenizer_config.json says",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_seq_length", None, "longest sequence of pieces, [CLS] and [SEP] included", flag_values=values
    )


def define_activation(values):
    """--activation, for checkpoints whose "gelu" may be either form."""
    flags.DEFINE_enum(
        "activation",
        None,
        ACTIVATIONS,
        "gelu (erf), gelu_approximate (tanh) ..., where the checkpoint does not say which it means",
        flag_values=values,
    )


def define_dropout(values):
    """--dropout, of whatever the model starts from."""
    flags.DEFINE_float(
        "dropout", None, "in training; without it what the --model_dir or --preset has", 0.0, 0.99,
        flag_values=values,
    )  # fmt: skip


def define_data(values):
    """How the files are read: --encoding, --delimiter, and the columns' names or positions."""
    flags.DEFINE_string(
        "encoding", None, "of the files, such as gb18030; without it UTF-8", flag_values=values
    )
    flags.DEFINE_string(
        "delimiter",
        None,
        "of the fields, such as tab or ;, where the suffix does not say",
        flag_values=values,
    )
    for name in COLUMNS:
        text = f"the file's column for `{name}`: its name, or its position from 0 in a file without header"
        flags.DEFINE_string(f"{name}_column", None, text, flag_values=values)


def define_strategy(values):
    """--strategy and what it needs to know."""
    flags.DEFINE_enum(
        "strategy", "none", STRATEGIES,
        "mirrored: all GPUs of this machine; multi_worker: this process is one of several",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_list(
        "devices", [], "of one_device and mirrored, such as GPU:0,GPU:1 or CPU:0,CPU:1", flag_values=values
    )
    flags.DEFINE_enum(
        "cluster", "tf_config", CLUSTERS,
        "where multi_worker learns of the others", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("num_workers", None, "how many, of --cluster=kubernetes", 1, flag_values=values)
    flags.DEFINE_string("tpu", "", "name of the TPU; local on its own host", flag_values=values)


def strategy(values):
    """The strategy of the flags of `define_strategy`, or None."""
    from keras_bert.training.strategies import strategy as make

    return make(
        values.strategy, devices=values.devices, cluster=values.cluster, num_workers=values.num_workers,
        tpu=values.tpu,
    )  # fmt: skip


def reading(values) -> dict:
    """The flags of `define_data` as arguments of the readers; what was not given is left out."""
    given = {name: values[f"{name}_column"].value for name in COLUMNS}
    columns = {
        name: int(value) if value.isdigit() else value for name, value in given.items() if value is not None
    }
    arguments = {"columns": columns, "encoding": values.encoding, "delimiter": values.delimiter}
    return {name: value for name, value in arguments.items() if value}


def task_settings(values, **more) -> dict:
    """Settings of the task that were given on the command line."""
    settings = dict(more)
    if values.max_seq_length is not None:
        if values.max_seq_length < 3:
            raise UsageError(
                f"--max_seq_length={values.max_seq_length} leaves no room for text", expected="3 or more"
            )
        settings["max_length"] = values.max_seq_length
    return settings


def files_by_part(given: str, flag: str):
    """The path of a file; or of `intent=a.tsv,slots=b.conll` a dict: the parts of a task, or files apart."""
    if "=" not in given or pathlib.Path(given).exists():
        return existing_file(given, flag)
    found = {}
    for pair in given.split(","):
        name, _, path = (part.strip() for part in pair.partition("="))
        if not name or not path or name in found:
            raise UsageError(
                f"{pair.strip()!r} gives no new name to a file", where=f"--{flag}={given}",
                expected="NAME=FILE,NAME=FILE, every name once",
            )  # fmt: skip
        found[name] = existing_file(path, flag)
    return found


def json_flag(given: str | None, flag: str) -> dict:
    """The object that a flag holds as JSON; {} without it."""
    if not given:
        return {}
    try:
        value = json.loads(given)
    except ValueError as error:
        raise UsageError(
            f"This is not valid JSON: {error}", where=f"--{flag}={given}", expected='{"name": value}'
        ) from error
    if not isinstance(value, dict):
        raise UsageError("This is no JSON object", where=f"--{flag}={given}", expected='{"name": value}')
    return value


def existing_file(path, flag) -> str:
    """The path, if it is a file that can be opened, again and again."""
    found = pathlib.Path(path)
    if not found.is_file():
        what = "There is no such file"
        if found.exists():
            what = "This is a folder" if found.is_dir() else "This is a pipe or a device, which is read once"
        raise DataError(what, where=f"--{flag}={path}", expected="the path of a file")
    return path


def check_utf8(texts, flag: str):
    """Refuses texts of the command line that are no UTF-8: Python hands them on as halves of characters."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(
                "The text is not UTF-8", where=flag, expected="text in UTF-8",
                remedy="put it into a file and name its --encoding",
            ) from None  # fmt: skip


def check_outputs(values, flags_of_outputs, inputs):
    """Refuses to write a file that is read as well.

    Args:
        values: absl's flags.
        flags_of_outputs: sequence of str. Flags that name a file to write, or nothing.
        inputs: iterable of str. Paths of files that are there.
    """
    inputs = [pathlib.Path(path).resolve() for path in inputs]
    for flag in flags_of_outputs:
        path = values[flag].value
        if path and pathlib.Path(path).resolve() in inputs:
            raise UsageError(
                "The file would be replaced by what is made of it", where=f"--{flag}={path}",
                expected="another file than the input",
            )  # fmt: skip


def start_tensorflow():
    """Imports TensorFlow with oneDNN, without its start-up chatter and what Keras only takes along."""
    from keras_bert.files.chatter import hidden_chatter

    prefer_onednn()
    with hidden_chatter(), _absent("matplotlib", "pandas"):
        import tensorflow as tf

        tf.config.list_physical_devices()  # the search for GPUs has chatter of its own


def prefer_onednn():
    """Lets TensorFlow's oneDNN kernels compute on x86, unless the environment says otherwise.

    TensorFlow itself leaves them off where a processor has no VNNI, and they are faster there, too
    (BUILD_NOTES, 2026-11-29).
    """
    # Where TensorFlow runs already it has chosen, and processes started from here shall compute as it does.
    if "tensorflow" not in sys.modules and platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def _absent(*packages):
    """Within the block these packages cannot be imported, unless they were before it.

    Keras imports pandas and matplotlib where it finds them, a third of the time TensorFlow takes to start,
    for data frames and galleries of pictures that no verb has. What draws our curves imports matplotlib
    itself.
    """
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None: not to be found
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def load(values, task=None, **more):
    """`kb.load` of --model_dir with the settings of the command line."""
    start_tensorflow()
    from keras_bert.loading import load as load_bert

    settings = task_settings(values, **more)
    return load_bert(values.model_dir, task, lowercase=values.do_lower_case, **settings)
