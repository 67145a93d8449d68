"""Rewrites a checkpoint of any known kind as a Hugging Face folder, a TensorFlow 1 checkpoint or a preset.

--format=huggingface writes config.json, model.safetensors and vocab.txt, which transformers and kb.load open;
google writes bert_config.json, bert_model.ckpt and vocab.txt; keras_hub a preset of keras-hub. Heads go along
where the format has a place for them. Every tensor keeps its bits.

--vocab_file or --add_pieces change the vocabulary on the way: rows of kept pieces move, new pieces begin as
the mean of the old ones they were cut into.
"""

import os

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import UsageError

REQUIRED = ("model_dir", "output_dir")
FORMATS = ("huggingface", "google", "keras_hub")


def define(values):
    """The flags of `convert`."""
    options.define_model(values)
    flags.DEFINE_string("output_dir", None, "folder to write", flag_values=values)
    flags.DEFINE_enum("format", "huggingface", FORMATS, "what to write", flag_values=values)
    options.define_activation(values)
    flags.DEFINE_string(
        "vocab_file", None, "another vocabulary for the model, longer or shorter", flag_values=values
    )
    flags.DEFINE_string(
        "add_pieces",
        None,
        "pieces to add, [unused..] slots first: a file with one a line, or the pieces between commas",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "pad_to_multiple", None, "round the rows of the changed tables up", 1, flag_values=values
    )


def run(values, positional):
    """Reads, writes, says what."""
    changes = [name for name in ("vocab_file", "add_pieces") if values[name].value]
    if len(changes) > 1:
        raise UsageError("--vocab_file and --add_pieces exclude each other", expected="one of them")
    if values.pad_to_multiple and not changes:
        raise UsageError("--pad_to_multiple is for changed tables", expected="--vocab_file or --add_pieces")
    pieces = _pieces(values.add_pieces) if values.add_pieces else None
    options.start_tensorflow()
    from keras_bert.checkpoints.vocabulary_change import extend_vocabulary
    from keras_bert.loading import load

    bert = load(values.model_dir, lowercase=values.do_lower_case, activation=values.activation)
    if changes:
        vocabulary = values.vocab_file or extend_vocabulary(bert.tokenizer.vocabulary, pieces)
        bert = bert.with_vocabulary(vocabulary, pad_to_multiple=values.pad_to_multiple)
    bert.save(values.output_dir, format=values.format)
    head = bert.head or (bert.task and bert.task.name) or "no head"
    size = f", {len(bert.tokenizer.vocabulary)} pieces" if changes else ""
    print(f"{values.output_dir}: {values.format}, {len(bert.weights())} weights, {head}{size}")


def _pieces(given: str) -> list[str]:
    """The pieces that --add_pieces names, or those in the file it names."""
    if os.path.isfile(given):
        from keras_bert.files.encodings import open_text

        with open_text(given) as lines:
            found = [line.strip() for line in lines]
    else:
        if "/" in given or given.endswith(".txt"):
            options.existing_file(given, "add_pieces")  # it is none: says so
        found = [piece.strip() for piece in given.split(",")]
    found = [piece for piece in found if piece]
    if not found:
        raise UsageError("There are no pieces", where=f"--add_pieces={given}", expected="one or more")
    return found
