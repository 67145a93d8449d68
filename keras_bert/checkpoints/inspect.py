"""What a model folder is, what of it would load, and what is probably a mistake; from the headers alone."""

import collections
import math
from pathlib import Path

from keras_bert.checkpoints import folder as folders
from keras_bert.checkpoints import names
from keras_bert.checkpoints.safetensors_file import json_object
from keras_bert.errors import KerasBertError
from keras_bert.text.vocabulary import MASK, Vocabulary

# Tables padded to a multiple of 64 or 128 have fewer spare rows than this.
_PADDING_ROWS = 128
# Cased vocabularies have upper-case letters in a third of their pieces, uncased ones in none.
_CASED_SHARE = 0.01


def inspect(path) -> dict:
    """The facts about a model folder.

    Args:
        path: str or Path.

    Returns:
        dict of plain values, ready for JSON:
            path: str.
            loads: bool. Whether `keras_bert.load` would take it; `problem` says why not.
            problem: str or None.
            model_type: str or None. What `config.json` says.
            architectures, labels: lists of str, or None.
            config: dict or None. The fields of `BertConfig`.
            head: str or None. `"classifier, 3 classes"` …
            num_parameters: int or None. Of everything in the weight file.
            dtypes: dict. dtype to number of tensors.
            vocabulary_size: int or None. Lines of `vocab.txt`.
            task, max_length: the folder's own settings, or None.
            starts_fresh: list of str. Our weights that the file does not have.
            not_used: list of str. Tensors of the file that have no place in our model.
            mistakes: list of str. What loads, but is probably not meant.
    """
    path = Path(path)
    raw = _json_or_empty(path / folders.CONFIG)
    facts = dict.fromkeys(
        "path loads problem model_type architectures labels config head num_parameters dtypes "
        "vocabulary_size task max_length starts_fresh not_used mistakes".split()
    )
    facts |= {"path": str(path), "loads": False, "mistakes": []}
    facts |= {"model_type": raw.get("model_type"), "architectures": raw.get("architectures")}
    try:
        checkpoint = folders.read_folder(path, check_hashes=False)
        facts |= _facts_of(checkpoint)
        vocabulary = Vocabulary.from_file(path / folders.VOCABULARY)
    except KerasBertError as error:
        return facts | {"problem": str(error)}
    rows = checkpoint.config.vocabulary_size
    facts |= {"vocabulary_size": len(vocabulary), "mistakes": _mistakes(checkpoint, vocabulary)}
    if len(vocabulary) > rows:
        what = f"{len(vocabulary)} lines, but the model has {rows} token embeddings: another model's vocabulary"
        return facts | {"problem": f"{path / folders.VOCABULARY}: {what}"}
    return facts | {"loads": True}


def describe(facts: dict) -> str:
    """The facts of `inspect` as lines for a reader."""
    config = facts["config"] or {}
    shape = "{num_layers} layers, {num_heads} heads, {hidden_dim} wide, {activation}".format_map(config) if config else None
    lines = {
        "folder": facts["path"],
        "model type": facts["model_type"],
        "architectures": _listed(facts["architectures"]),
        "shape": shape,
        "parameters": f"{facts['num_parameters']:,}" if facts["num_parameters"] else None,
        "dtypes": _listed(f"{dtype} ({count} tensors)" for dtype, count in (facts["dtypes"] or {}).items()),
        "positions": config.get("max_sequence_length"),
        "vocabulary": f"{facts['vocabulary_size']} pieces" if facts["vocabulary_size"] else None,
        "head": facts["head"],
        "labels": _listed(facts["labels"]),
        "task": facts["task"],
        "starts fresh": _listed(facts["starts_fresh"]),
        "not used": _listed(facts["not_used"]),
        "loads": "yes" if facts["loads"] else f"no. {facts['problem']}",
    }
    width = max(map(len, lines))
    told = [f"{name:<{width}}  {value}" for name, value in lines.items() if value not in (None, "")]
    return "\n".join([*told, *(f"{'look at':<{width}}  {mistake}" for mistake in facts["mistakes"])])
