"""The layers a BERT is made of, in `keras.ops` only: they run on every Keras backend.

Shape letters, used in every docstring and at the end of lines:

    B batch    T query tokens    S key tokens    N heads    H head width    D hidden width
    F feed-forward width    V vocabulary    M masked slots    C classes or choices
    P examples of a packed row
    E embedding width, which is D unless the embeddings are factorised
"""

from keras_bert.layers.attention import AttentionScores, ExampleMask, SelfAttention
from keras_bert.layers.choices import FlattenChoices, UnflattenChoices
from keras_bert.layers.classifier import Classifier
from keras_bert.layers.crf import Crf
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.embeddings import BertEmbeddings
from keras_bert.layers.encoder_block import EncoderBlock
from keras_bert.layers.initial import TruncatedNormal, blank_weights
from keras_bert.layers.masked_lm import MaskedLmHead
from keras_bert.layers.pooling import ClsPooler, TokenPooling
from keras_bert.layers.projection import Projection

__all__ = [
    "AttentionScores",
    "BertEmbeddings",
    "Classifier",
    "ClsPooler",
    "Crf",
    "Dropout",
    "EncoderBlock",
    "ExampleMask",
    "FlattenChoices",
    "MaskedLmHead",
    "Projection",
    "SelfAttention",
    "TokenPooling",
    "TruncatedNormal",
    "UnflattenChoices",
    "blank_weights",
]
