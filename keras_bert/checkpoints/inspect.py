"""What a model folder is, what of it would load, and what is probably a mistake; weights are not read."""

import collections
import math
from pathlib import Path

from keras_bert.checkpoints import names
from keras_bert.checkpoints.architectures import parts_in
from keras_bert.checkpoints.checkpoint import Checkpoint, read_folder
from keras_bert.checkpoints.formats import CONFIG
from keras_bert.checkpoints.json_text import json_object
from keras_bert.checkpoints.name_table import ENCODER, HEADS, POOLER, PROJECTION
from keras_bert.checkpoints.tokenizer_files import is_cased, num_capitalised, read_tokenizer
from keras_bert.errors import CheckpointError, KerasBertError
from keras_bert.files.regular import read_regular
from keras_bert.text.tokenizer import Tokenizer

# A table padded to a multiple of 64 or 128 has fewer spare rows than this.
_PADDING_ROWS = 128


def inspect(path) -> dict:
    """The facts about a model folder, as plain values ready for JSON; None where a fact is not known.

    Args:
        path: str or Path.

    Returns:
        dict:
            path: str.
            model_type: str, as `config.json` says.
            architectures, labels: lists of str.
            config: dict. The fields of `BertConfig`.
            family: str. Whose names the tensors have, and the file.
            head: str. `"sequence_classification, 3 classes"`.
            num_parameters: int. Of everything in the weight file.
            dtypes: dict. dtype to number of tensors.
            vocabulary_size: int. Pieces of the vocabulary.
            settings: dict. Ours, from `keras_bert.json`: the task …
            starts_fresh: list of str. Weights of the encoder that the file does not have.
            not_used: list of str. Tensors of the file that have no place in our model.
            loads: bool. Whether `keras_bert.load` would take the folder.
            problem: str. Why not.
            mistakes: list of str. What loads, but is probably not meant.
    """
    path = Path(path)
    facts = {"path": str(path), **_glance(path), "loads": False, "problem": None, "mistakes": []}
    try:
        checkpoint = read_folder(path, check_hashes=False)
        facts |= _weight_facts(checkpoint)
        tokenizer = read_tokenizer(checkpoint.path)
        pieces, rows = len(tokenizer.vocabulary), checkpoint.config.vocabulary_size
        facts["vocabulary_size"] = pieces
        facts["mistakes"] = _mistakes(checkpoint, tokenizer)
        if pieces > rows:
            raise CheckpointError(
                f"{pieces} pieces, but the model has {rows} token embeddings",
                where=str(path),
                remedy="this is another model's vocabulary: use the one that belongs to the weights",
            )
    except KerasBertError as error:
        return facts | {"problem": str(error)}
    return facts | {"loads": True}


def describe(facts: dict) -> str:
    """The facts of `inspect` as lines for a reader."""
    config = facts["config"]
    shape = "{num_layers} layers, {num_heads} heads, width {hidden_dim}, {activation}"
    dtypes = [f"{count} x {dtype}" for dtype, count in (facts["dtypes"] or {}).items()]
    lines = [
        ("folder", facts["path"]),
        ("weights", facts["family"]),
        ("model type", facts["model_type"]),
        ("architectures", _listed(facts["architectures"])),
        ("shape", config and shape.format_map(config)),
        ("positions", config and config["max_sequence_length"]),
        ("parameters", facts["num_parameters"] and f"{facts['num_parameters']:,}"),
        ("tensors", _listed(dtypes)),
        ("vocabulary", facts["vocabulary_size"] and f"{facts['vocabulary_size']} pieces"),
        ("head", facts["head"]),
        ("labels", _listed(facts["labels"])),
        ("settings", facts["settings"]),
        ("starts fresh", _listed(facts["starts_fresh"])),
        ("not used", _listed(facts["not_used"])),
        *(("look at", mistake) for mistake in facts["mistakes"]),
        ("loads", "yes" if facts["loads"] else f"no. {facts['problem']}"),
    ]
    return "\n".join(f"{name:<13}  {value}" for name, value in lines if value)


def _glance(path: Path) -> dict:
    """What `config.json` says of itself, whatever it is; every other fact still unknown."""
    try:
        raw = json_object(read_regular(path / CONFIG), "")
    except (OSError, KerasBertError):
        raw = {}
    architectures = raw.get("architectures")
    unknown = (
        "family",
        "config",
        "head",
        "labels",
        "num_parameters",
        "dtypes",
        "vocabulary_size",
        "settings",
    )
    return {
        "model_type": raw.get("model_type"),
        "architectures": architectures if isinstance(architectures, list) else None,
        **dict.fromkeys((*unknown, "starts_fresh", "not_used")),
    }


def _weight_facts(checkpoint: Checkpoint) -> dict:
    """The facts that names, shapes and dtypes of the tensors tell."""
    weights, shapes = checkpoint.weights, checkpoint.weights.tensors.shapes
    stored, rows = weights.stored, names.rows_of(checkpoint.config)
    sources = {row.ours: row.sources(weights.dialect, weights.prefix) for row in rows}
    encoder = [row.ours for row in rows if row.part not in HEADS]
    parts = {ENCODER, PROJECTION, POOLER, *parts_in(weights)}
    used = {source for row in rows if row.part in parts for source in sources[row.ours]}
    head, classes = checkpoint.head, checkpoint.num_classes
    return {
        "family": f"{weights.dialect}, {weights.path.name}",
        "config": checkpoint.config.to_dict(),
        "head": head and (f"{head}, {classes} classes" if classes else head),
        "labels": checkpoint.labels,
        "num_parameters": sum(math.prod(shapes[name]) for name in stored.values()),
        "dtypes": dict(collections.Counter(weights.tensors.dtypes[name] for name in stored.values())),
        "settings": checkpoint.extras or None,
        "starts_fresh": [path for path in encoder if not stored.keys() >= set(sources[path])],
        "not_used": [name for current, name in stored.items() if current not in used],
    }


def _mistakes(checkpoint: Checkpoint, tokenizer: Tokenizer) -> list[str]:
    """What would load without an error and still give other results than its owner expects."""
    mistakes = list(checkpoint.warnings)
    vocabulary, with_capitals = tokenizer.vocabulary, num_capitalised(tokenizer.vocabulary)
    lowercase = tokenizer.lowercase
    if lowercase and is_cased(vocabulary):
        mistakes.append(
            f"the vocabulary is cased ({with_capitals} pieces with capitals), but texts will be lower-cased: "
            "set do_lower_case to false in tokenizer_config.json"
        )
    if not lowercase and not with_capitals:
        mistakes.append(
            "the vocabulary has no capitals, but texts will not be lower-cased, so that every capitalised "
            "word becomes [UNK]: set do_lower_case to true in tokenizer_config.json"
        )
    spare = checkpoint.config.vocabulary_size - len(vocabulary)
    if spare >= _PADDING_ROWS:
        mistakes.append(
            f"the vocabulary is {spare} pieces shorter than the model's table: is it this model's?"
        )
    limit, positions = tokenizer.max_length or 0, checkpoint.config.max_sequence_length
    if limit > positions:
        mistakes.append(f"model_max_length is {limit}, but the model has {positions} positions")
    return mistakes


def _listed(values) -> str:
    """A few of the values, and how many more there are."""
    values = list(values or ())
    more = f", and {len(values) - 6} more" if len(values) > 6 else ""
    return ", ".join(map(str, values[:6])) + more
