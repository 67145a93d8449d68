"""Presets of keras-hub written, and its live models read: the one file here that imports keras_nlp.

Reading a preset needs no keras_nlp; those functions live in keras_preset.py and can be had from here too.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_bert.checkpoints import keras_preset, keras_preset_names
from keras_bert.checkpoints.keras_preset import (
    NamedTensors,
    is_preset,
    preset_head,
    preset_tensors,
    preset_tokenizer,
    read_preset_config,
)
from keras_bert.checkpoints.keras_preset_names import BACKBONE, HEADS, places
from keras_bert.checkpoints.name_table import KERAS_HUB, Row
from keras_bert.checkpoints.names import rows, sizes_of
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError, MissingExtraError
from keras_bert.files.atomic import atomic_folder

__all__ = [
    "NamedTensors",
    "backbone_config",
    "backbone_tensors",
    "is_preset",
    "preset_head",
    "preset_tensors",
    "preset_tokenizer",
    "read_preset_config",
    "write_preset",
]

_HEAD_OF = {"logits/kernel": "BertTextClassifier", "mlm_head/output_bias": "BertMaskedLM"}
_FLOATS = ("float16", "bfloat16", "float32", "float64")
# What a preset's folder holds; where there is anything else, the folder is not replaced.
_OURS = {
    keras_preset.CONFIG, keras_preset.TASK, keras_preset.TOKENIZER, keras_preset.METADATA,
    keras_preset.PREPROCESSOR, keras_preset.VOCABULARY, keras_preset.WEIGHTS_FILE, keras_preset.TASK_WEIGHTS,
}  # fmt: skip


def backbone_tensors(backbone) -> NamedTensors:
    """The weights of a live keras_nlp `BertBackbone`, or of a classifier or masked LM around one.

    Args:
        backbone: keras_nlp.models.BertBackbone, or one of the two heads.

    Returns:
        Mapping in the names of `preset_tensors`; each array is a copy made when it is asked for.

    Raises:
        CheckpointError: another model.
    """
    kind = type(backbone).__name__
    num_layers = getattr(getattr(backbone, "backbone", backbone), "num_layers", 0)
    live = {variable.path: variable for variable in getattr(backbone, "weights", ())}
    names = places(num_layers, (*BACKBONE, *HEADS.get(kind, ())))
    if not num_layers or live.keys() != names.keys():
        raise CheckpointError(
            f"The weights of this {kind} are not those of BERT",
            where="backbone",
            expected=f"keras_nlp.models.BertBackbone, {' or '.join(_HEAD_OF.values())}",
        )
    return NamedTensors(
        {
            name: (tuple(live[name].shape), str(live[name].dtype), lambda v=live[name]: _array(v))
            for name in names
        }
    )


def backbone_config(backbone) -> BertConfig:
    """The config of a live keras_nlp `BertBackbone`, or of the one inside a task's model."""
    inner = getattr(backbone, "backbone", backbone)
    values = {name: getattr(inner, name) for name in keras_preset_names.FIELDS}
    return BertConfig(
        **values,
        attention_dropout=inner.dropout,
        activation=keras_preset_names.ACTIVATION,
        layer_norm_epsilon=keras_preset_names.EPSILON,
    )


def write_preset(
    folder,
    config: BertConfig,
    weights: Mapping[str, np.ndarray],
    pieces: Sequence[str],
    lowercase: bool,
    *,
    strip_accents: bool | None = None,
    allow_approximate: bool = False,
    head_config: BertConfig | None = None,
) -> list[str]:
    """Writes a preset that `BertBackbone.from_preset(folder)` opens; with a head's weights, a task's preset.

    Args:
        folder: str or Path. The target; an earlier preset there is replaced.
        config: BertConfig.
        weights: mapping. Names of `preset_tensors` to arrays. With `logits/…` it becomes a
            `BertTextClassifier`, with `mlm_head/…` a `BertMaskedLM`. The attention's may have the two axes of
            the heads (N, H) as one (D).
        pieces: sequence of str. The vocabulary.
        lowercase: bool. Whether the tokeniser lower-cases.
        strip_accents: bool. Whether it takes accents off; None where it lower-cases, as BERT's does.
        allow_approximate: bool. Whether to write a model that keras-hub computes a little differently.
        head_config: BertConfig or None. Whose activation and epsilon a masked LM's head has; None: `config`.

    Returns:
        list of str. What the user should be told: each difference that was allowed, or that only training
        would notice.

    Raises:
        CheckpointError: keras-hub has no such BERT, by name; or weights that do not fit the config.
        MissingExtraError: keras_nlp is not installed.
        OutputError: the folder cannot be written or holds something else.
    """
    kind = next((kind for name, kind in _HEAD_OF.items() if name in weights), None)
    notes = _differences(config, head_config or config, kind, str(folder), allow_approximate)
    if len(pieces) > config.vocabulary_size:
        raise CheckpointError(
            f"The vocabulary has {len(pieces)} pieces, the model {config.vocabulary_size} rows",
            where=str(folder),
        )
    _check_shapes(config, kind, weights, str(folder))
    strip_accents = lowercase if strip_accents is None else strip_accents
    dtype = np.result_type(*(weights[name].dtype for name in weights)).name
    if dtype not in _FLOATS:
        raise CheckpointError(f"The weights are {dtype}", where=str(folder), expected=f"one of {_FLOATS}")
    models = _models(str(folder))
    tokenizer = models.BertTokenizer(list(pieces), lowercase=lowercase, strip_accents=strip_accents)
    model = _built(models, config, kind, weights, tokenizer, dtype)
    for variable in model.weights:
        variable.assign(np.reshape(weights[variable.path], variable.shape))
    with atomic_folder(folder, ours=_is_ours_to_replace) as stage:
        model.save_to_preset(os.fspath(stage))
        if kind is None:
            tokenizer.save_to_preset(os.fspath(stage))
    return notes


def _differences(config: BertConfig, head_config, kind, where: str, allow_approximate: bool) -> list[str]:
    """Refuses what keras-hub has not; what it has in another form is refused or noted."""
    exact = {"activation": ("gelu_approximate", "gelu"), "layer_norm_epsilon": (keras_preset_names.EPSILON,)}
    for name, allowed in exact.items():
        value = getattr(config, name)
        if value not in allowed:
            raise CheckpointError(
                f"`{name}` is {value!r}, which keras-hub's BERT cannot have",
                where=where,
                expected=f"one of {allowed}",
                remedy="save the model as a Hugging Face folder instead",
            )
    width = config.embedding_width
    if width != config.hidden_dim:
        raise CheckpointError(
            f"The embeddings have the width {width} of their own, which keras-hub's BERT cannot have",
            where=where,
            expected=f"the hidden width {config.hidden_dim}",
            remedy="save the model as a Hugging Face folder instead",
        )
    approximate, notes = [], []
    if config.activation == "gelu":
        approximate.append("keras-hub computes gelu in its tanh form, this model in its erf form")
    own = (keras_preset_names.MASKED_LM_ACTIVATION, keras_preset_names.MASKED_LM_EPSILON)
    if kind == "BertMaskedLM" and (head_config.activation, head_config.layer_norm_epsilon) != own:
        approximate.append(
            "keras-hub's masked LM has gelu's erf form and the epsilon "
            f"{keras_preset_names.MASKED_LM_EPSILON}"
        )
    if approximate and not allow_approximate:
        raise CheckpointError(
            f"{'; '.join(approximate)}: its outputs would differ, by about 1e-3",
            where=where,
            remedy="allow it with allow_approximate=True, or save the model as a Hugging Face folder",
        )
    dropout = config.dropout
    if config.attention_dropout != dropout:
        notes.append(
            f"keras-hub has one dropout: attention's, {config.attention_dropout}, becomes {dropout}, which "
            "training alone notices"
        )
    return approximate + notes


def _check_shapes(config: BertConfig, kind: str | None, weights: Mapping, where: str):
    """Refuses a weight that is missing, superfluous or of another shape; the heads may be an axis or not."""
    kernel = np.shape(weights["logits/kernel"]) if kind == "BertTextClassifier" else ()
    sizes = {**sizes_of(config), "C": kernel[-1] if kernel else 0}
    expected, found = {}, {name: np.shape(weights[name]) for name in weights}
    for row in rows(config.num_layers, (*BACKBONE, *HEADS.get(kind, ()))):
        flat = tuple(sizes[letter] for letter in row.shape)
        for name in row.sources(KERAS_HUB, ""):
            expected[name] = flat
            if found.get(name) == _with_heads(row, flat, config.num_heads):
                found[name] = flat
    wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if wrong:
        raise CheckpointError(
            f"{len(wrong)} weights do not fit, first {wrong[0]!r} of shape {found.get(wrong[0])}",
            where=where,
            expected=f"the shape {expected.get(wrong[0])}",
        )


def _with_heads(row: Row, shape: tuple[int, ...], num_heads: int) -> tuple[int, ...]:
    """The shape in which a live model has the weight: (D, N, H) for (D, D), the output's (N, H, D)."""
    if row.fused:
        return (*shape[:-1], num_heads, shape[-1] // num_heads)
    if row.ours.endswith("attention/output/kernel"):
        return (num_heads, shape[0] // num_heads, *shape[1:])
    return shape


def _built(models, config: BertConfig, kind: str | None, weights: Mapping, tokenizer, dtype: str):
    """The live model, its weights still random."""
    values = {name: getattr(config, name) for name in keras_preset_names.FIELDS}
    backbone = models.BertBackbone(**values, dtype=dtype)
    if kind is None:
        return backbone
    length = config.max_sequence_length
    if kind == "BertMaskedLM":
        preprocessor = models.BertMaskedLMPreprocessor(tokenizer, sequence_length=length)
        return models.BertMaskedLM(backbone, preprocessor=preprocessor)
    preprocessor = models.BertTextClassifierPreprocessor(tokenizer, sequence_length=length)
    return models.BertTextClassifier(
        backbone,
        np.shape(weights["logits/kernel"])[-1],
        preprocessor=preprocessor,
        dropout=config.head_dropout,
    )


def _array(variable) -> np.ndarray:
    import keras

    return np.array(keras.ops.convert_to_numpy(variable))


def _is_ours_to_replace(folder: Path) -> bool:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return is_preset(folder) and files <= _OURS


def _models(where: str):
    try:
        from keras_nlp import models
    except ImportError as cause:
        raise MissingExtraError(
            f"Writing keras-hub's presets needs keras-nlp, which cannot be imported ({cause})",
            where=where,
            remedy="pip install keras-nlp",
        ) from cause
    return models
