"""HDF5 weight files of Keras 2, Keras 3 and transformers (`tf_model.h5`), read without trusting a byte.

The name of a tensor is the path of its dataset, without a last `:0`:

    Keras 2         Embedding-Token/Embedding-Token/embeddings          layer, then the name of the weight
    transformers    bert/tf_bert_model/bert/pooler/dense/kernel         the same
    Keras 3         layers/transformer_encoder_1/_feedforward_output_dense/vars/0

In a file of `model.save("model.h5")` they start below `model_weights`. The paths say all that Keras'
attributes (`weight_names`, in pieces where they are long) say, so no attribute is read; the order is that of
the paths with numbers taken as numbers, which is the order in which Keras counted its layers.

libhdf5 is not used: a damaged file makes it write over its own memory and so ends the process. Read is what
Keras, transformers and h5py write with it by default; its plugins, links and other files are refused.
"""

import re
from pathlib import Path

import numpy as np

from keras_bert.checkpoints.hdf5_bytes import LINK, LINK_INFO, SYMBOL_TABLE, Hdf5Bytes
from keras_bert.checkpoints.hdf5_dataset import MAX_RATIO, place_of
from keras_bert.checkpoints.hdf5_groups import MAX_NAME, links_of
from keras_bert.checkpoints.hdf5_place import Place
from keras_bert.checkpoints.hdf5_superblock import root_address
from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.lazy_tensors import LazyTensors
from keras_bert.errors import CheckpointError
from keras_bert.files.mapped import MappedFile

# In a file of the whole Keras 2 model: the group of the weights; the optimizer's is another.
WHOLE_MODEL = "model_weights"


class Hdf5File(LazyTensors):
    """The tensors of one file by name; each is mapped from the file when asked for, never all at once.

    Args:
        path: str or Path.

    Raises:
        CheckpointError: the file is missing, cut, of another kind, or holds what is no plain array of numbers
            inside the file: links, virtual or external datasets, other filters than gzip and shuffle.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._mapped = MappedFile(self.path)
        except OSError as cause:
            raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(path)) from cause
        data = self._mapped.bytes
        root = root_address(data[:512].tobytes(), len(data), str(path))
        self._file = Hdf5Bytes(path, data)
        places = self._read_places(root)
        self._places = {name: places[name] for name in sorted(places, key=_natural)}
        self._refuse_overlaps_and_bombs()
        super().__init__(
            {name: place.shape for name, place in self._places.items()},
            {name: place.dtype.name for name, place in self._places.items()},
        )

    def __getitem__(self, name: str) -> np.ndarray:
        place = self._places[name]
        if place.chunk:
            try:
                return place.unpacked(self._file.data)
            except ValueError as cause:
                self._file.refuse(f"The tensor {quoted(name)} cannot be unpacked: {cause}")
        [(_, _, begin, length)] = place.pieces
        array = self._mapped.window(begin, begin + length).view(place.dtype).reshape(place.shape)
        # Readers of NumPy memory may assume alignment, which the format does not promise.
        return np.require(array, requirements="A")

    def _read_places(self, root: int) -> dict[str, Place]:
        """Every dataset's place by name."""
        file, places, below = self._file, {}, [("", root)]
        while below:
            path, address = below.pop()
            messages = list(file.messages(address))
            if not any(kind in (LINK, LINK_INFO, SYMBOL_TABLE) for kind, _, _ in messages):
                name = path.removeprefix(f"{WHOLE_MODEL}/").removesuffix(":0")
                if not name or name in places:
                    file.refuse(f"There are two datasets {quoted(name)}, or one in place of all groups")
                places[name] = place_of(file, path, messages)
                continue
            links = {}
            for name, target in links_of(file, messages):
                if name in links:
                    file.refuse(f"There are two objects {quoted(name)} in the group {quoted(path)}")
                links[name] = target
            if not path and WHOLE_MODEL in links:
                links = {WHOLE_MODEL: links[WHOLE_MODEL]}
            for name, target in links.items():
                child = f"{path}/{name}" if path else name
                if len(child) > MAX_NAME:
                    file.refuse(f"The path {quoted(child)} is too long", f"at most {MAX_NAME} characters")
                below.append((child, target))
        return places

    def _refuse_overlaps_and_bombs(self):
        file = self._file
        claimed = sum(max(place.num_bytes, place.chunk_bytes) for place in self._places.values())
        if claimed > MAX_RATIO * file.size:
            file.refuse(
                f"It claims {claimed} bytes of numbers in a file of {file.size}",
                f"at most {MAX_RATIO} times the file",
            )
        ranges = [
            (begin, length, name) for name, p in self._places.items() for _, _, begin, length in p.pieces
        ]
        position, before = 0, "the file's head"
        for begin, length, name in sorted(ranges):
            if begin < position:
                file.refuse(f"{quoted(name)} at byte {begin} overlaps {before}, which ends at {position}")
            position, before = begin + length, quoted(name)


def _natural(name: str) -> list:
    """Sorts `dense_9` before `dense_10`."""
    return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", name)]
