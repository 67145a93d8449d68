"""Hugging Face's tokeniser files <-> our options: vocab.txt, tokenizer_config.json, tokenizer.json."""

import json
from pathlib import Path

from keras_bert.errors import VocabularyError
from keras_bert.files.regular import read_regular
from keras_bert.text.vocabulary import Vocabulary

VOCABULARY_FILE, CONFIG_FILE, FAST_FILE = "vocab.txt", "tokenizer_config.json", "tokenizer.json"

# ours, Hugging Face's in tokenizer_config.json, Hugging Face's in tokenizer.json's normalizer
OPTIONS = (
    ("lowercase", "do_lower_case", "lowercase"),
    ("strip_accents", "strip_accents", "strip_accents"),
    ("split_chinese", "tokenize_chinese_chars", "handle_chinese_chars"),
    ("never_split", "never_split", None),
    ("max_length", "model_max_length", None),
)
SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# Classes that cut text exactly as BertTokenizer does; "Fast" is taken off the name before the look-up.
KNOWN_CLASSES = (
    "BertTokenizer",
    "ConvBertTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "LayoutLMTokenizer",
    "MobileBertTokenizer",
    "PreTrainedTokenizer",
    "RetriBertTokenizer",
    "TokenizersBackend",
)
_NO_LIMIT = 10**9  # Hugging Face writes 1e30 where a tokeniser has no limit


def read_folder(folder: Path) -> tuple[Vocabulary, dict, dict]:
    """The tokeniser of a folder.

    Args:
        folder: path. Holds vocab.txt, or a tokenizer.json (all that transformers v5 writes) of type
            WordPiece; and, usually, tokenizer_config.json.

    Returns:
        (vocabulary, our options, the unchanged content of tokenizer_config.json).

    Raises:
        VocabularyError: a file is missing or damaged, or it is another kind of tokeniser.
    """
    fast = _read_json(folder / FAST_FILE)
    raw = _read_json(folder / CONFIG_FILE)
    _check_kind(raw, folder / CONFIG_FILE)
    for key, kind in (("model", dict), ("normalizer", dict), ("added_tokens", list)):
        if not isinstance(fast.get(key) or kind(), kind):
            raise VocabularyError(f"`{key}` is {repr(fast[key])[:80]}", where=str(folder / FAST_FILE))
    if (folder / VOCABULARY_FILE).exists() or not fast:
        vocabulary = Vocabulary.from_file(folder / VOCABULARY_FILE)
    else:
        vocabulary = _vocabulary_of(fast, folder / FAST_FILE)
    normalizer = fast.get("normalizer") or {}
    options = {}
    for ours, theirs, fast_name in OPTIONS:
        value = raw.get(theirs, normalizer.get(fast_name))
        if value is not None:
            _check_option(theirs, value, folder / CONFIG_FILE)
            options[ours] = value
    if options.get("max_length", 0) >= _NO_LIMIT:
        del options["max_length"]
    return vocabulary, options, raw


def write_folder(folder: Path, tokenizer):
    """Writes vocab.txt and tokenizer_config.json of a `Tokenizer` into an existing folder."""
    tokenizer.vocabulary.save(folder / VOCABULARY_FILE)
    config = {**SPECIAL_TOKENS, **tokenizer.hf_settings, "tokenizer_class": "BertTokenizer"}
    for ours, theirs, _ in OPTIONS:
        config[theirs] = getattr(tokenizer, ours)
    config["never_split"] = list(tokenizer.never_split) or None
    if tokenizer.strip_accents == tokenizer.lowercase:
        config["strip_accents"] = None
    if tokenizer.max_length is None:
        del config["model_max_length"]
    with open(folder / CONFIG_FILE, "w", encoding="utf-8", newline="\n") as file:
        json.dump(config, file, indent=2, ensure_ascii=False, sort_keys=True)
        file.write("\n")


def _read_json(path: Path) -> dict:
    if not path.exists():
        return {}
    try:
        content = json.loads(read_regular(path).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise VocabularyError(
            f"cannot be read ({str(error)[:200]})", where=str(path), expected="a JSON file"
        ) from error
    if not isinstance(content, dict):
        raise VocabularyError("holds no JSON object", where=str(path), expected="a JSON object")
    return content


def _check_kind(raw: dict, path: Path):
    name = raw.get("tokenizer_class")
    if name is not None and str(name).removesuffix("Fast") not in KNOWN_CLASSES:
        raise VocabularyError(
            f"tokenizer_class {name!r} does not cut text as BERT does",
            where=str(path),
            expected="BertTokenizer or a class that equals it",
            remedy="use a checkpoint with BERT's own tokeniser",
        )
    if raw.get("do_basic_tokenize") is False:
        raise VocabularyError(
            "do_basic_tokenize is false: the model was trained on text that another program cut into words",
            where=str(path),
            expected="do_basic_tokenize true or absent",
        )
    for key, expected in SPECIAL_TOKENS.items():
        token = raw.get(key, expected)
        token = token.get("content") if isinstance(token, dict) else token
        if token not in (expected, None):
            raise VocabularyError(f"{key} is {repr(token)[:80]}", where=str(path), expected=repr(expected))


def _check_option(name: str, value, path: Path):
    """Refuses a value of another type than the option's."""
    if name == "never_split":
        expected, fits = "a list of words", isinstance(value, list) and all(isinstance(w, str) for w in value)
    elif name == "model_max_length":
        expected = "a whole number above 0"
        fits = (type(value) is int and value > 0) or (isinstance(value, float) and value >= _NO_LIMIT)
    else:
        expected, fits = "true, false or null", isinstance(value, bool)
    if not fits:
        raise VocabularyError(f"{name} is {repr(value)[:80]}", where=str(path), expected=expected)


def _vocabulary_of(fast: dict, path: Path) -> Vocabulary:
    """The pieces of a tokenizer.json, ordered by id."""
    model, added = fast.get("model"), fast.get("added_tokens") or []
    ids = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(ids, dict) or model.get("type", "WordPiece") != "WordPiece":
        kind = repr(model.get("type") if isinstance(model, dict) else model)[:80]
        raise VocabularyError(
            f"holds a tokeniser of type {kind}", where=str(path), expected="type 'WordPiece'"
        )
    described = isinstance(added, list) and all(isinstance(token, dict) for token in added)
    added = {str(token.get("content")): token.get("id") for token in added} if described else {}
    if not described or any(type(index) is not int for index in (*ids.values(), *added.values())):
        raise VocabularyError(
            "its pieces are not described", where=str(path), expected="pieces and their ids, whole numbers"
        )
    by_id = {index: piece for piece, index in {**ids, **added}.items()}
    missing = next((index for index in range(len(by_id)) if index not in by_id), None)
    if missing is not None:
        raise VocabularyError(
            f"no piece has the id {missing}", where=str(path), expected="ids without a gap from 0"
        )
    return Vocabulary([by_id[index] for index in range(len(by_id))], source=str(path))
