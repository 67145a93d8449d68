"""Says what a model folder is and whether it would load, without importing TensorFlow."""

from absl import flags

from keras_bert.errors import UsageError

MOST_POSITIONAL = 1  # the folder


def define(values):
    """The flags of `inspect`."""
    flags.DEFINE_string(
        "model_dir", None, "folder of the model; also as the first argument", flag_values=values
    )
    flags.DEFINE_bool("json", False, "print JSON", flag_values=values)


def run(values, positional):
    """Inspects and prints."""
    from keras_bert.checkpoints.find import find_folder
    from keras_bert.checkpoints.inspect import describe, inspect

    name = values.model_dir or (positional[0] if positional else None)
    if name is None:
        raise UsageError("No model folder was given", expected="keras-bert inspect --model_dir=FOLDER")
    found = inspect(find_folder(name))
    if values.json:
        import json

        print(json.dumps(found, ensure_ascii=False, default=str))
    else:
        print(describe(found))
