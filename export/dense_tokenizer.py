"""`DenseTokenizer`: the tokeniser of static shapes, from operations that convert to TFLite."""

import tensorflow as tf

from keras_bert.errors import UsageError
from keras_bert.text.sequence import room_for_pieces, truncated_lengths

MAX_WORD_BYTES = 200
# The operations that TFLite does not have built in; an application registers them by these names.
CUSTOM_OPS = ("FastBertNormalize", "FastWordpieceTokenizeWithOffsets", "RaggedTensorToTensor")


class DenseTokenizer(tf.Module):
    """One text, or one pair, as padded features (1, L): what `InGraphTokenizer.features` makes of it.

    The ids are those of `Tokenizer.encode` but for texts with compatibility forms (full-width and
    mathematical letters, circled numbers), control characters, or a word over `MAX_WORD_BYTES` bytes.

    Args:
        tokenizer: `Tokenizer`.
        fast_bert_tokenizer: class. `tensorflow_text.FastBertTokenizer`.
    Raises:
        UsageError: the tokeniser has settings that these operations do not have.
    """

    def __init__(self, tokenizer, fast_bert_tokenizer):
        super().__init__(name="dense_tokenizer")
        unknown = {
            "never_split": bool(tokenizer.never_split),
            "split_chinese=False": not tokenizer.split_chinese,
            "strip_accents other than lowercase": tokenizer.strip_accents != tokenizer.lowercase,
        }
        for setting, is_set in unknown.items():
            if is_set:
                raise _refused(f"The tokeniser of TFLite has no {setting}")
        vocabulary = tokenizer.vocabulary
        self.pad_id, self.cls_id, self.sep_id = vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id
        with tf.init_scope(), tf.device("/CPU:0"):
            self._tokenizer = fast_bert_tokenizer(
                list(vocabulary.pieces),
                token_out_type=tf.int32,
                unknown_token=vocabulary.pieces[vocabulary.unk_id],
                max_bytes_per_word=MAX_WORD_BYTES,
                lower_case_nfd_strip_accents=tokenizer.lowercase,
            )

    def features(self, texts, text_pairs=None, max_length=None, truncation="longest_first") -> dict:
        """What the encoder reads, always `max_length` tokens wide.

        Args:
            texts: string tensor (1,). The text A.
            text_pairs: string tensor (1,) or None. The text B.
            max_length: int. The length L.
            truncation: str. As in `InGraphTokenizer.features`.
        Returns:
            Dict of `token_ids`, `segment_ids`, `padding_mask`, int32 tensors (1, L).
        """
        if texts.shape.as_list() != [1]:
            raise _refused("The task reads several texts as sequences of their own, and the file has one")
        is_pair = text_pairs is not None
        room = room_for_pieces(max_length, is_pair=is_pair)
        ids_a, length_a = self._pieces(texts, max_length)
        place = tf.range(max_length)[tf.newaxis]  # (1, L)
        if not is_pair:
            last = 1 + tf.minimum(length_a, room)  # (1, 1), the place of [SEP]
            token_ids = tf.where(place < last, _shifted(ids_a, place, 1), self.sep_id)
            segment_ids, mask = tf.zeros_like(place), place <= last
        else:
            ids_b, length_b = self._pieces(text_pairs, max_length)
            length_a, length_b = truncated_lengths(
                length_a, length_b, room, truncation, tf.minimum, tf.maximum
            )
            middle = 1 + length_a  # the place of the first [SEP]
            last = middle + 1 + length_b
            token_ids = tf.where(place < last, _shifted(ids_b, place, middle + 1), self.sep_id)
            token_ids = tf.where(place == middle, self.sep_id, token_ids)
            token_ids = tf.where(place < middle, _shifted(ids_a, place, 1), token_ids)
            mask = place <= last
            # Not a cast: of the test for ids below 0 the converter would make what TFLite does not have.
            segment_ids = tf.where(tf.logical_and(place > middle, mask), 1, 0)
        token_ids = tf.where(place == 0, self.cls_id, tf.where(mask, token_ids, self.pad_id))
        return {"token_ids": token_ids, "segment_ids": segment_ids, "padding_mask": tf.cast(mask, tf.int32)}

    def features_with_offsets(self, *args, **kwargs):
        raise _refused(
            "The task needs to know where each piece stands, which the tokeniser of TFLite cannot say"
        )

    def windows(self, *args, **kwargs):
        raise _refused("The task reads long texts in windows, whose number a static shape cannot have")

    def _pieces(self, texts, length):
        """The first pieces, int32 (1, L), and how many there are, int32 (1, 1); L where there are more."""
        pieces = self._tokenizer.tokenize(texts).to_tensor(default_value=-1, shape=[1, length])
        count = tf.reduce_sum(tf.cast(pieces >= 0, tf.int32), axis=1, keepdims=True)
        return tf.maximum(pieces, 0), count


def _shifted(ids, place, start):
    """int32 (1, L): at each place what `ids` has `start` places before it; anything before `start`."""
    return tf.gather(ids, tf.maximum(place - start, 0)[0], axis=1)


def _refused(what) -> UsageError:
    return UsageError(
        what, where="text_input", expected="a task that reads whole texts, and a tokeniser as BERT's",
        remedy="export the ids alone, without text_input; the hand-over has tokenisers for applications",
    )  # fmt: skip
