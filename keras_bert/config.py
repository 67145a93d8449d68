"""`BertConfig`: the shape of a BERT, validated, and the table of published sizes."""

import dataclasses
import sys

from keras_bert.errors import ConfigError

_LARGEST = sys.float_info.max
ACTIVATIONS = ("gelu", "gelu_approximate", "relu", "silu", "tanh")

# name: (num_layers, hidden_dim, num_heads, intermediate_dim, vocabulary_size).
# Source: Turc et al. 2019, https://arxiv.org/abs/1908.08962, table 1 (tiny, mini, small, medium);
# Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3 (base, large); vocabulary sizes are the
# line counts of the published vocab.txt files.
_UNCASED, _CASED, _CHINESE, _MULTILINGUAL = 30522, 28996, 21128, 119547
PRESETS = {
    "tiny": (2, 128, 2, 512, _UNCASED),
    "mini": (4, 256, 4, 1024, _UNCASED),
    "small": (4, 512, 8, 2048, _UNCASED),
    "medium": (8, 512, 8, 2048, _UNCASED),
    "base": (12, 768, 12, 3072, _UNCASED),
    "base_cased": (12, 768, 12, 3072, _CASED),
    "base_chinese": (12, 768, 12, 3072, _CHINESE),
    "base_multilingual": (12, 768, 12, 3072, _MULTILINGUAL),
    "large": (24, 1024, 16, 4096, _UNCASED),
    "large_cased": (24, 1024, 16, 4096, _CASED),
}


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The shape of a BERT encoder.

    Args:
        vocabulary_size: int. Rows V of the token embedding table.
        num_layers: int. Encoder blocks.
        num_heads: int. Attention heads N; must divide `hidden_dim`.
        hidden_dim: int. Hidden width D.
        intermediate_dim: int. Feed-forward width F.
        activation: str. `"gelu"` is the exact erf form, `"gelu_approximate"` the tanh form; also
            `"relu"`, `"silu"`, `"tanh"`.
        dropout: float in [0, 1). After the embeddings and after both branches of a block.
        attention_dropout: float in [0, 1). On the attention probabilities.
        classifier_dropout: float in [0, 1) or None. In the heads; None means `dropout`.
        max_sequence_length: int. Rows of the position embedding table.
        num_segments: int. Rows of the segment embedding table.
        layer_norm_epsilon: float. Epsilon of every layer normalisation.
        initializer_range: float. Standard deviation of the truncated normal of new weights.
        pad_token_id: int. Id of [PAD].
        embedding_dim: int or None. Width E of the embedding tables; where it differs from `hidden_dim`, the
            embeddings are projected to D after their normalisation. None means `hidden_dim`.

    Raises:
        ConfigError: a value that no BERT can have; the message names it.

    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805
    """

    vocabulary_size: int
    num_layers: int
    num_heads: int
    hidden_dim: int
    intermediate_dim: int
    activation: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    classifier_dropout: float | None = None
    max_sequence_length: int = 512
    num_segments: int = 2
    layer_norm_epsilon: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int = 0
    embedding_dim: int | None = None

    def __post_init__(self):
        for name in ("vocabulary_size", "num_layers", "num_heads", "hidden_dim", "intermediate_dim",
                     "max_sequence_length", "num_segments", "embedding_dim"):  # fmt: skip
            value = getattr(self, name)
            if name == "embedding_dim" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        if self.hidden_dim % self.num_heads:
            raise ConfigError(
                "`hidden_dim` must be a multiple of `num_heads`. Received: "
                f"hidden_dim={self.hidden_dim}, num_heads={self.num_heads}"
            )
        if self.activation not in ACTIVATIONS:
            raise ConfigError(
                f"`activation` must be one of {', '.join(ACTIVATIONS)}. "
                f"Received: activation={self.activation!r}"
            )
        for name in ("dropout", "attention_dropout", "classifier_dropout"):
            value = getattr(self, name)
            if name == "classifier_dropout" and value is None:
                continue
            if not _is_number(value) or not 0 <= value < 1:
                raise ConfigError(f"`{name}` must lie in [0, 1). Received: {name}={value!r}")
        for name in ("layer_norm_epsilon", "initializer_range"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ConfigError(f"`{name}` must be a positive number. Received: {name}={value!r}")
        if (
            not isinstance(self.pad_token_id, int)
            or isinstance(self.pad_token_id, bool)
            or not 0 <= self.pad_token_id < self.vocabulary_size
        ):
            raise ConfigError(
                "`pad_token_id` must be an id of the vocabulary. Received: "
                f"pad_token_id={self.pad_token_id!r}, vocabulary_size={self.vocabulary_size}"
            )

    @property
    def head_dim(self) -> int:
        """Head width H = D / N."""
        return self.hidden_dim // self.num_heads

    @property
    def embedding_width(self) -> int:
        """Width E of the embedding tables: D, unless they are factorised."""
        return self.hidden_dim if self.embedding_dim is None else self.embedding_dim

    @property
    def head_dropout(self) -> float:
        """The dropout of the task heads."""
        return self.dropout if self.classifier_dropout is None else self.classifier_dropout

    @property
    def num_parameters(self) -> int:
        """Parameters of encoder and pooler, counted from the shape alone."""
        d, e, f = self.hidden_dim, self.embedding_width, self.intermediate_dim
        embeddings = (self.vocabulary_size + self.max_sequence_length + self.num_segments) * e + 2 * e
        if e != d:
            embeddings += e * d + d
        block = 4 * (d * d + d) + (d * f + f) + (f * d + d) + 2 * (2 * d)
        return embeddings + self.num_layers * block + (d * d + d)

    def replace(self, **changes) -> "BertConfig":
        """A copy with some values changed, validated again."""
        return dataclasses.replace(self, **changes)

    def with_dropout(self, dropout: float | None) -> "BertConfig":
        """A copy with this dropout of hidden states and attention both; None: as it is."""
        return self if dropout is None else self.replace(dropout=dropout, attention_dropout=dropout)

    def to_dict(self) -> dict:
        """The values as a plain dict; `BertConfig(**config.to_dict()) == config`."""
        return dataclasses.asdict(self)

    @classmethod
    def preset(cls, name: str, **changes) -> "BertConfig":
        """A published size by name (`PRESETS`), with any value changed: `preset("mini", dropout=0.0)`."""
        if name not in PRESETS:
            raise ConfigError(f"There is no preset {name!r}", expected=f"one of {', '.join(PRESETS)}")
        num_layers, hidden_dim, num_heads, intermediate_dim, vocabulary_size = PRESETS[name]
        shape = {
            "vocabulary_size": vocabulary_size, "num_layers": num_layers, "num_heads": num_heads,
            "hidden_dim": hidden_dim, "intermediate_dim": intermediate_dim,
        }  # fmt: skip
        return cls(**{**shape, **changes})


def _is_number(value) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and -_LARGEST <= value <= _LARGEST


def check_goes_with(config: BertConfig, num_pieces: int, max_length: int | None):
    """Raises ConfigError unless a vocabulary and a length fit the tables of a network.

    Args:
        config: BertConfig.
        num_pieces: int. Of the vocabulary.
        max_length: int or None. The longest sequence it shall read.
    """
    if num_pieces > config.vocabulary_size:
        raise ConfigError(
            "The vocabulary is another model's: it has more pieces than the embedding table has rows. "
            f"Received: {num_pieces} pieces, vocabulary_size={config.vocabulary_size}",
            expected=f"at most {config.vocabulary_size} pieces",
            remedy="use the vocab.txt that belongs to this checkpoint",
        )
    if max_length is not None and max_length > config.max_sequence_length:
        raise ConfigError(
            "`max_length` is longer than the position table. Received: "
            f"max_length={max_length}, max_sequence_length={config.max_sequence_length}",
            expected=f"at most {config.max_sequence_length}",
            remedy="lower --max_seq_length (Python: max_length)",
        )
