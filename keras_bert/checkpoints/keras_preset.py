"""Presets of keras-hub (keras-nlp), read without it: a folder as `save_to_preset` writes it.

config.json   model.weights.h5   tokenizer.json   assets/tokenizer/vocabulary.txt
task.json     task.weights.h5    preprocessor.json   metadata.json
"""

import re
from pathlib import Path

from keras_bert.checkpoints.hdf5_file import Hdf5File
from keras_bert.checkpoints.json_text import json_object, quoted
from keras_bert.checkpoints.keras_preset_names import (
    ACTIVATION,
    BACKBONE,
    EPSILON,
    FIELDS,
    HEADS,
    places,
)
from keras_bert.checkpoints.lazy_tensors import NamedTensors
from keras_bert.checkpoints.shards import MAX_INDEX_BYTES, refuse_link_outside
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError, ConfigError, VocabularyError
from keras_bert.files.regular import read_regular
from keras_bert.text.vocabulary import Vocabulary

CONFIG, TASK, TOKENIZER, METADATA = "config.json", "task.json", "tokenizer.json", "metadata.json"
PREPROCESSOR, VOCABULARY = "preprocessor.json", "assets/tokenizer/vocabulary.txt"
WEIGHTS_FILE, SHARDS, TASK_WEIGHTS = "model.weights.h5", "model.weights.json", "task.weights.h5"

# No weights: the counters of an optimizer, and the state of dropout's generator in files of older versions.
_NO_WEIGHTS = re.compile(r"optimizer/.*|(.*/)?seed_generator/.*")


def is_preset(folder) -> bool:
    """Whether `config.json` is keras-hub's, of whatever model; a file that cannot be read is not."""
    try:
        raw = _json(Path(folder) / CONFIG)
    except (CheckpointError, ConfigError):
        return False
    return _class_of(raw)[0] in ("keras_hub", "keras_nlp")


def read_preset_config(folder) -> tuple[dict, dict]:
    """The shape of a preset's backbone.

    Args:
        folder: str or Path.

    Returns:
        Fields of `BertConfig`, and the content of `config.json` as it stands.

    Raises:
        ConfigError: another model's preset, a quantised one, or a value that no BERT can have.
    """
    path = Path(folder) / CONFIG
    raw = _json(path)
    package, name = _class_of(raw)
    if package not in ("keras_hub", "keras_nlp") or name != "BertBackbone":
        raise ConfigError(
            f"It is the preset of a {name or 'model without a name'}",
            where=str(path),
            expected="keras_hub>BertBackbone",
            remedy="use a preset of BERT's own architecture",
        )
    config = raw.get("config")
    absent = [field for field in FIELDS[:5] if not isinstance(config, dict) or config.get(field) is None]
    if absent:
        raise ConfigError(
            f"Missing: {', '.join(absent)}", where=str(path), expected="keras-hub's BertBackbone"
        )
    _refuse_quantised(config.get("dtype"), str(path))
    fields = {field: config[field] for field in FIELDS if config.get(field) is not None}
    fields |= {"activation": ACTIVATION, "layer_norm_epsilon": EPSILON}
    if "dropout" in fields:
        fields["attention_dropout"] = fields["dropout"]
    head = preset_head(folder)
    if head["kind"] == "BertTextClassifier" and head.get("dropout") is not None:
        fields["classifier_dropout"] = head["dropout"]
    try:
        BertConfig(**fields)
    except ConfigError as error:
        raise ConfigError(error.what, where=str(path)) from None
    return fields, raw


def preset_head(folder) -> dict:
    """The head of a preset.

    Args:
        folder: str or Path.

    Returns:
        dict. `kind`: one of HEADS or None for a bare backbone. A classifier's has `num_classes`,
        `activation` and `dropout`, an embedder's `pooling_mode` and `normalize`, as task.json has them. The
        masked LM's gelu is the erf form (MASKED_LM_ACTIVATION), its epsilon MASKED_LM_EPSILON.
    """
    path = Path(folder) / TASK
    if not path.exists():
        return {"kind": None}
    raw = _json(path)
    kind, config = _class_of(raw)[1], raw.get("config")
    kind = {"BertClassifier": "BertTextClassifier"}.get(kind, kind)  # its name before 2024
    if kind not in HEADS or not isinstance(config, dict):
        raise ConfigError(
            f"It is the head of a {kind or 'model without a name'}",
            where=str(path),
            expected=f"one of {', '.join(HEADS)}",
            remedy=f"take {TASK} and {TASK_WEIGHTS} out of a copy of the folder: the backbone stays",
        )
    keys = {
        "BertTextClassifier": ("num_classes", "activation", "dropout"),
        "BertTextEmbedder": ("pooling_mode", "normalize"),
    }
    return {"kind": kind, **{key: config.get(key) for key in keys.get(kind, ())}}


def preset_tokenizer(folder) -> tuple[list[str], dict]:
    """The vocabulary of a preset and how its tokeniser was set.

    keras-hub's `strip_accents` is false unless somebody set it, also where the model was trained on text
    without accents; what the file says is returned.

    Args:
        folder: str or Path.

    Returns:
        The pieces in order, and options of our Tokenizer: `lowercase`, `strip_accents`, `split_chinese`.

    Raises:
        VocabularyError: no vocabulary, or a tokeniser that does not cut as BERT's does.
    """
    folder = Path(folder)
    refuse_link_outside(folder / TOKENIZER)
    path = folder / TOKENIZER
    raw = _json(path, VocabularyError)
    config = raw.get("config")
    expected = {
        "suffix_indicator": "##",
        "oov_token": "[UNK]",
        "split": True,
        "special_tokens_in_strings": False,
    }
    if _class_of(raw)[1] != "BertTokenizer" or not isinstance(config, dict):
        raise VocabularyError("Not keras-hub's BertTokenizer", where=str(path), expected="BertTokenizer")
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise VocabularyError(
                f"`{key}` is {quoted(config[key])}", where=str(path), expected=f"{value!r}, as BERT has it"
            )
    options = {
        "lowercase": config.get("lowercase", False),
        "strip_accents": config.get("strip_accents", False),
        "split_chinese": config.get("split_on_cjk", True),
    }
    for key, value in options.items():
        if not isinstance(value, bool):
            raise VocabularyError(f"`{key}` is {quoted(value)}", where=str(path), expected="true or false")
    return list(Vocabulary.from_file(folder / VOCABULARY).pieces), options


def preset_tensors(folder) -> NamedTensors:
    """The weights of a preset, backbone and head, in the order of the network.

    The names are the paths of the variables in the live model: `token_embedding/embeddings`,
    `transformer_layer_0/self_attention_layer/query/kernel` (D, N, H) and `/bias` (N, H),
    `…/attention_output/kernel` (N, H, D), `pooled_dense/kernel`, `logits/kernel` …

    Args:
        folder: str or Path.

    Raises:
        CheckpointError: a weight is missing, or there is one that BERT does not have.
        ConfigError: as `read_preset_config`.
    """
    folder = Path(folder)
    fields, _ = read_preset_config(folder)
    files, num_layers = _backbone_files(folder), fields["num_layers"]
    if num_layers > sum(map(len, files)):  # before so many names are written out
        raise CheckpointError(
            f"`num_layers` is {num_layers}, but there are {sum(map(len, files))} tensors", where=str(folder)
        )
    entries = _entries(files, places(num_layers, BACKBONE), folder)
    parts = HEADS.get(preset_head(folder)["kind"])
    if parts:
        refuse_link_outside(folder / TASK_WEIGHTS)
        entries |= _entries([Hdf5File(folder / TASK_WEIGHTS)], places(0, parts), folder)
    return NamedTensors(entries)


def _backbone_files(folder: Path) -> list[Hdf5File]:
    """The one weight file, or the shards that `model.weights.json` names."""
    if (folder / WEIGHTS_FILE).exists() or not (folder / SHARDS).exists():
        refuse_link_outside(folder / WEIGHTS_FILE)
        return [Hdf5File(folder / WEIGHTS_FILE)]
    where = folder / SHARDS
    weight_map = _json(where, CheckpointError).get("weight_map")
    values = list(weight_map.values()) if isinstance(weight_map, dict) else [None]
    names = {name for value in values for name in (value if isinstance(value, list) else [value])}
    if not names or not all(isinstance(n, str) and re.fullmatch(r"[\w.-]+\.weights\.h5", n) for n in names):
        raise CheckpointError(
            "No usable `weight_map`", where=str(where), expected="names of .weights.h5 files beside it"
        )
    for name in names:
        refuse_link_outside(folder / name)
    return [Hdf5File(folder / name) for name in sorted(names)]


def _entries(files: list[Hdf5File], places: dict[str, str], folder: Path) -> dict:
    """The weights of `places` by name, read when asked for; refuses a file that has others."""
    stored = {}
    for file in files:
        shapes, dtypes = file.shapes, file.dtypes
        for path in file:
            known = _current(path)
            if _NO_WEIGHTS.fullmatch(known):
                continue
            if known in stored:
                raise CheckpointError(f"The weight {quoted(known)} is stored twice", where=str(file.path))
            stored[known] = shapes[path], dtypes[path], lambda file=file, path=path: file[path]
    missing = [name for name, place in places.items() if place not in stored]
    unexpected = sorted(stored.keys() - set(places.values()))
    if missing or unexpected:
        raise CheckpointError(
            f"{len(missing)} weights are missing ({quoted(missing[:3])}), {len(unexpected)} are not BERT's "
            f"({quoted(unexpected[:3])})",
            where=str(files[0].path if len(files) == 1 else folder),
            remedy="config.json is another model's, or a file is missing: download the folder again",
        )
    return {name: stored[place] for name, place in places.items()}


def _current(path: str) -> str:
    """A path as Keras 3.15 writes it; Keras 2.13 and the first Keras 3 wrote some in another way."""
    path = re.sub("^_layer_checkpoint_dependencies/", "layers/", path)
    return re.sub("/_(query|key|value|output)_dense/", r"/\1_dense/", path)


def _refuse_quantised(dtype, where: str):
    name = dtype.get("class_name", "DTypePolicy") if isinstance(dtype, dict) else "DTypePolicy"
    if name not in ("DTypePolicy", "FloatDTypePolicy") or "int" in str(dtype) or "float8" in str(dtype):
        raise ConfigError(
            f"The dtype is {quoted(dtype)}",
            where=where,
            expected="a float's, such as float32 or bfloat16",
            remedy="use the preset before quantisation",
        )


def _class_of(raw: dict) -> tuple[str, str]:
    """("keras_hub", "BertBackbone") of `keras_hub>BertBackbone`."""
    package, _, name = str(raw.get("registered_name")).partition(">")
    return package, name


def _json(path: Path, error=ConfigError) -> dict:
    try:
        data = read_regular(path, MAX_INDEX_BYTES)
    except OSError as cause:
        raise error(f"Cannot be read: {cause.strerror}", where=str(path)) from cause
    return json_object(data, str(path), error)
