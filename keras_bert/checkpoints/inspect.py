"""What a model folder is, what of it would load, and what is probably a mistake; weights are not read."""

import collections
import math
from pathlib import Path

from keras_bert.checkpoints import folder as folders
from keras_bert.checkpoints import names
from keras_bert.checkpoints.safetensors_file import json_object
from keras_bert.errors import CheckpointError, KerasBertError
from keras_bert.text import settings
from keras_bert.text.vocabulary import Vocabulary

# A table padded to a multiple of 64 or 128 has fewer spare rows than this.
_PADDING_ROWS = 128
# Cased vocabularies have a capital in about a third of their pieces, uncased ones in none.
_CASED_SHARE = 0.01


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
            head: str. `"classifier, 3 classes"`.
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
        checkpoint = folders.read_folder(path, check_hashes=False)
        facts |= _weight_facts(checkpoint)
        vocabulary, options, _ = settings.read_folder(path)
        facts["vocabulary_size"] = len(vocabulary)
        facts["mistakes"] = _mistakes(checkpoint, vocabulary, options)
        rows = checkpoint.config.vocabulary_size
        if len(vocabulary) > rows:
            raise CheckpointError(
                f"{len(vocabulary)} pieces, but the model has {rows} token embeddings",
                where=str(path / folders.VOCABULARY),
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
        raw = json_object((path / folders.CONFIG).read_bytes(), "")
    except (OSError, KerasBertError):
        raw = {}
    architectures = raw.get("architectures")
    unknown = ("config", "head", "labels", "num_parameters", "dtypes", "vocabulary_size", "settings")
    return {
        "model_type": raw.get("model_type"),
        "architectures": architectures if isinstance(architectures, list) else None,
        **dict.fromkeys((*unknown, "starts_fresh", "not_used")),
    }


def _weight_facts(checkpoint: folders.Checkpoint) -> dict:
    """The facts that names, shapes and dtypes of the tensors tell."""
    stored, shapes = names.current_names(checkpoint.tensors), checkpoint.tensors.shapes
    rows = names.rows(checkpoint.config.num_layers)
    sources = {row.ours: row.sources("huggingface", checkpoint.prefix) for row in rows}
    encoder = [row.ours for row in rows if row.part not in names.HEADS]
    used = {source for group in sources.values() for source in group}
    head = next((stored[name] for name in sources["classifier/kernel"] if name in stored), None)
    return {
        "config": checkpoint.config.to_dict(),
        "head": head and f"classifier, {shapes[head][0]} classes",
        "labels": checkpoint.labels,
        "num_parameters": sum(math.prod(shapes[name]) for name in stored.values()),
        "dtypes": dict(collections.Counter(checkpoint.tensors.dtypes[name] for name in stored.values())),
        "settings": checkpoint.extras or None,
        "starts_fresh": [path for path in encoder if not stored.keys() >= set(sources[path])],
        "not_used": [name for current, name in stored.items() if current not in used],
    }


def _mistakes(checkpoint: folders.Checkpoint, vocabulary: Vocabulary, options: dict) -> list[str]:
    """What would load without an error and still give other results than its owner expects."""
    mistakes = list(checkpoint.warnings)
    words = [piece for piece in vocabulary.pieces if not piece.startswith("[")]
    with_capitals = sum(any("A" <= letter <= "Z" for letter in word) for word in words)
    lowercase = options.get("lowercase", True)
    if lowercase and with_capitals > _CASED_SHARE * len(words):
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
    limit, positions = options.get("max_length", 0), checkpoint.config.max_sequence_length
    if limit > positions:
        mistakes.append(f"model_max_length is {limit}, but the model has {positions} positions")
    return mistakes


def _listed(values) -> str:
    """A few of the values, and how many more there are."""
    values = list(values or ())
    more = f", and {len(values) - 6} more" if len(values) > 6 else ""
    return ", ".join(map(str, values[:6])) + more
