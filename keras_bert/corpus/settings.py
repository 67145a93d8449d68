"""What a corpus is built by: one frozen set of values, which the manifest keeps."""

import dataclasses

from keras_bert.corpus.documents import SENTENCES
from keras_bert.corpus.masking import Masking
from keras_bert.errors import UsageError

MASKINGS, FORMATS = ("dynamic", "static"), ("keras_bert", "google")
# Google's script made ten copies of every text, each with masks of its own; masks drawn when the records are
# read make that needless.
_COPIES = {"dynamic": 1, "static": 10}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """How raw text becomes pretraining examples; the names are those of Google's flags where it had them.

    Args:
        max_seq_length: int. Longest example in pieces, [CLS] and [SEP] included.
        short_seq_prob: float in [0, 1]. Share of examples that are made shorter on purpose.
        next_sentence: bool. Make pairs A, B for next-sentence prediction; else single segments.
        dupe_factor: int or None. How often every document is paired anew. None: once, or ten times with
            static masks.
        masking: str. `"dynamic"`: the records hold no masks, readers draw new ones every epoch. `"static"`:
            the masks are in the records.
        masked_lm_prob: float in (0, 1). Share of the pieces to predict.
        max_predictions_per_seq: int. At most so many of an example.
        do_whole_word_mask: bool. Mask all pieces of a word together.
        max_ngram: int. Mask up to so many words in a row together.
        chinese_words: str or None. `"jieba"`, or a file with a word a line: the records say where Chinese
            words are, so that masks of whole words take them as wholes.
        format: str. `"keras_bert"`, or `"google"`: the features of Google's script, with static masks.
        sentences: str. `"lines"`: a line is a sentence, a blank line ends a document. `"text"`: running text
            is cut into sentences. `"auto"`: lines in text files, running text in JSON.
        text_column: str. The field of a JSON object.
        encoding: str or None. Of the files; None means UTF-8, or what the byte order mark says.
        num_shards: int or None. Files to write. None: one for every 16 MB of text.
        random_seed: int. The same seed gives the same bytes.

    Raises:
        UsageError: a value out of its range; names the flag.
    """

    max_seq_length: int = 128
    short_seq_prob: float = 0.1
    next_sentence: bool = True
    dupe_factor: int | None = None
    masking: str = "dynamic"
    masked_lm_prob: float = 0.15
    max_predictions_per_seq: int = 20
    do_whole_word_mask: bool = False
    max_ngram: int = 1
    chinese_words: str | None = None
    format: str = "keras_bert"
    sentences: str = "auto"
    text_column: str = "text"
    encoding: str | None = None
    num_shards: int | None = None
    random_seed: int = 12345

    def __post_init__(self):
        for name, least in (("max_seq_length", 8), ("dupe_factor", 1), ("num_shards", 1), ("random_seed", 0)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                _refuse(name, value, f"an integer of {least} or more")
        if not 0 <= self.short_seq_prob <= 1:
            _refuse("short_seq_prob", self.short_seq_prob, "a number from 0 to 1")
        for name, allowed in (("masking", MASKINGS), ("format", FORMATS), ("sentences", SENTENCES)):
            if getattr(self, name) not in allowed:
                _refuse(name, getattr(self, name), f"one of {', '.join(allowed)}")
        _ = self.masks  # refuses now what makes no sense
        if self.format == "google" and self.masking != "static":
            _refuse("masking", self.masking, "static, as Google's records hold their masks")

    @property
    def copies(self) -> int:
        """How often every document is paired."""
        return self.dupe_factor or _COPIES[self.masking]

    @property
    def masks(self) -> Masking:
        """How pieces are masked, now or when the records are read."""
        return masks_of(self.to_dict())

    def to_dict(self) -> dict:
        """The values as a plain dict; `CorpusSettings(**settings.to_dict()) == settings`."""
        return dataclasses.asdict(self)


def masks_of(settings: dict) -> Masking:
    """The masks that settings, or a manifest's, ask for; what they do not say is as Google has it."""
    names = {
        "masked_lm_prob": "masked_lm_prob",
        "max_predictions_per_seq": "max_predictions_per_seq",
        "do_whole_word_mask": "whole_word",
        "max_ngram": "max_ngram",
    }
    return Masking(**{ours: settings[name] for name, ours in names.items() if name in settings})


def _refuse(name, value, expected):
    raise UsageError(f"The value is {value!r}", where=f"--{name}", expected=expected)
