"""What all layouts of tests/golden/layouts share: the shape of the network, the vocabulary, the inputs.

The scripts `make_layouts_*.py` import it, each in the environment of the library that it runs; the oldest is
Python 3.6. It needs NumPy only. A layout NAME is a folder as that library writes it, and beside it NAME.npz
with `token_ids`, `segment_ids`, `padding_mask` (B, T) and what the library computes from them, float32.
"""

import json
import pathlib
import re
import shutil

import numpy as np

LAYOUTS = pathlib.Path(__file__).resolve().parent / "layouts"

PIECES = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] ! , . ? a b c d e i n o r s t ##a ##e ##i ##n ##s ##t ##ed ##ing "
    "the film is warm cold good bad not very un 我 是"
).split()
LABELS = ("negative", "neutral", "positive")

# In Google's words, which are Hugging Face's as well. No two sizes are alike, so that a matrix that was
# transposed or taken for another one does not fit.
CONFIG = {
    "vocab_size": len(PIECES),
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.3,
}
# Where only the head or the file's form is of interest, one block, so that all of it stays small.
SHORT = {"num_hidden_layers": 1}
LABEL_KEYS = {
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: index for index, label in enumerate(LABELS)},
}

TEXTS = ("The film is warm.", "Very good films")
TEXT_PAIRS = ("Not cold!", None)
_PIECES_OF_ROWS = (
    ("[CLS] the film is warm . [SEP]", "not cold ! [SEP]"),
    ("[CLS] very good film ##s [SEP]", ""),
)
NOISE = 0.3
# A path of the machine that made it, in text or in a binary file.
_MACHINE = re.compile(rb"/(root|tmp|work|home|usr|opt)/")


def inputs():
    """`token_ids`, `segment_ids`, `padding_mask` (2, 11), int32: a pair, and a shorter single text."""
    shape = (len(TEXTS), 11)
    arrays = {name: np.zeros(shape, "int32") for name in ("token_ids", "segment_ids", "padding_mask")}
    for row, (first, second) in enumerate(_PIECES_OF_ROWS):
        first, second = first.split(), second.split()
        length = len(first) + len(second)
        arrays["token_ids"][row, :length] = [PIECES.index(piece) for piece in first + second]
        arrays["segment_ids"][row, len(first) : length] = 1
        arrays["padding_mask"][row, :length] = 1
    return arrays


def choices(count=3):
    """The same arrays with an axis of choices, (2, count, 11): the first word of every choice differs."""
    arrays = {name: np.repeat(array[:, None], count, axis=1) for name, array in inputs().items()}
    arrays["token_ids"][:, :, 1] += np.arange(count, dtype="int32")
    return arrays


def disturbed(rng, array):
    """The array with seeded noise: no bias stays 0 and no gamma 1, so that a forgotten weight shows."""
    array = np.asarray(array)
    return (array + NOISE * rng.standard_normal(array.shape)).astype(array.dtype)


def new_folder(name):
    """The empty folder of the layout NAME."""
    folder = LAYOUTS / name
    if folder.exists():
        shutil.rmtree(str(folder))
    folder.mkdir(parents=True)
    return folder


def write_vocabulary(folder, pieces=PIECES):
    """`vocab.txt`, one piece a line."""
    (folder / "vocab.txt").write_bytes("".join(piece + "\n" for piece in pieces).encode("utf-8"))


def write_golden(name, features, outputs):
    """NAME.npz: the inputs, and the library's outputs as float32."""
    arrays = dict(features)
    for key, value in outputs.items():
        arrays[key] = np.asarray(value, "float32")
        assert np.isfinite(arrays[key]).all() and arrays[key].std() > 0.01, (name, key)
    np.savez_compressed(str(LAYOUTS / (name + ".npz")), **arrays)
    check_no_machine_paths(name)
    files = [path for path in (LAYOUTS / name).rglob("*") if path.is_file() and not path.is_symlink()]
    for path in files:  # some libraries write files that their user alone may read
        path.chmod(0o644)
    sizes = [path.stat().st_size for path in files]
    print(f"{name:32} {sum(sizes):6} bytes  {', '.join(outputs)}")


def clean_json(folder):
    """Takes the path of the machine out of the JSON files (`_name_or_path`), as on a hub they have none."""
    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if isinstance(content, dict) and "/" in str(content.get("_name_or_path")):
            kept = re.sub(r'"_name_or_path": "[^"]*"', '"_name_or_path": "tiny-bert"', text)
            path.write_text(kept, encoding="utf-8")


def compact_hdf5(path):
    """The same groups, attributes and datasets in HDF5's newer container: a third of the room.

    Old-style groups take a kilobyte each, which in a model as small as this is nearly all of the file.
    """
    import h5py

    def copy(source, target):
        for key in source.attrs:
            target.attrs.create(key, source.attrs[key], dtype=source.attrs.get_id(key).dtype)
        for key in getattr(source, "keys", tuple)():
            item = source[key]
            is_group = isinstance(item, h5py.Group)
            copy(item, target.create_group(key) if is_group else target.create_dataset(key, data=item[()]))

    small = path.with_name("compact.h5")
    with h5py.File(str(path), "r") as source, h5py.File(str(small), "w", libver="latest") as target:
        copy(source, target)
    small.replace(path)


def check_no_machine_paths(name):
    """AssertionError where a file of the layout holds a path of this machine."""
    for path in (LAYOUTS / name).rglob("*"):
        if path.is_file():
            found = _MACHINE.search(path.read_bytes())
            assert not found, (path, path.read_bytes()[found.start() : found.start() + 80])
