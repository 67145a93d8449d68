"""The tokeniser of a checkpoint, wherever its family keeps the vocabulary."""

from pathlib import Path

from keras_bert.checkpoints import keras_nlp
from keras_bert.text import settings
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary

# Cased vocabularies have a capital in about a third of their pieces, uncased ones in none.
_CASED_SHARE = 0.01
_HUB_ASSETS = "assets"


def read_tokenizer(folder: Path, lowercase: bool | None = None) -> Tokenizer:
    """The tokeniser of a model folder.

    Google's and TensorFlow's checkpoints do not say whether texts are lower-cased: their vocabulary tells.

    Args:
        folder: Path.
        lowercase: bool or None. Overrides what the folder says.

    Raises:
        VocabularyError: a file is missing or damaged, or it is another kind of tokeniser.
    """
    if keras_nlp.is_preset(folder):
        pieces, options = keras_nlp.preset_tokenizer(folder)
        vocabulary = Vocabulary(pieces, source=str(folder))
    elif (folder / settings.CONFIG_FILE).is_file() or (folder / settings.FAST_FILE).is_file():
        return Tokenizer.from_folder(folder, lowercase=lowercase)
    else:
        inner = folder / _HUB_ASSETS
        own = inner / settings.VOCABULARY_FILE if inner.is_dir() else folder / settings.VOCABULARY_FILE
        vocabulary = Vocabulary.from_file(own if own.is_file() else folder / settings.VOCABULARY_FILE)
        options = {"lowercase": not is_cased(vocabulary)}
    if lowercase is not None:
        options["lowercase"] = lowercase
    return Tokenizer(vocabulary, **options)


def num_capitalised(vocabulary: Vocabulary) -> int:
    """How many pieces hold a capital."""
    words = (piece for piece in vocabulary.pieces if not piece.startswith("["))
    return sum(any("A" <= letter <= "Z" for letter in word) for word in words)


def is_cased(vocabulary: Vocabulary) -> bool:
    """Whether the pieces are those of a model that tells capitals apart."""
    return num_capitalised(vocabulary) > _CASED_SHARE * len(vocabulary)
