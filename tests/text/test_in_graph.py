"""The tokeniser inside the graph: the same answers as in Python, wherever a graph can go."""

import random

import pytest
import tensorflow as tf

from keras_bert.errors import UsageError, VocabularyError
from keras_bert.text.tokenizer import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789!?,.[]#"
PIECES = [
    *SPECIAL,
    *LETTERS,
    *(f"##{c}" for c in LETTERS),
    "un",
    "##aff",
    "##able",
    "film",
    "warm",
    "中",
    "国",
]
TEXTS = [
    "A warm film!",
    "",
    "unaffable",
    "Wärme 中国, naïve\u0000 ＡＢ",
    " \t\n",
    "é" * 201,
    "a" * 201,
    "[SEP] [PAD]",
    "İΣ",
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(PIECES)


@pytest.fixture(scope="module")
def in_graph(tokenizer):
    return tokenizer.in_graph()


def python_ids(tokenizer, texts, **options):
    return [encoding.token_ids for encoding in tokenizer.encode_batch(texts, special_tokens=False, **options)]


@pytest.mark.parametrize(
    "texts", [TEXTS, TEXTS[:3], TEXTS[3:4], TEXTS[1:2], []], ids=["mixed", "ascii", "one", "empty", "none"]
)
def test_bare_pieces_equal_the_python_form(tokenizer, in_graph, texts):
    result = in_graph(tf.constant(texts, tf.string))
    assert result.dtype == tf.int32
    assert result.to_list() == python_ids(tokenizer, texts)


@pytest.mark.parametrize(
    "options", [{"lowercase": False}, {"strip_accents": False}, {"split_chinese": False}]
)
def test_options_mean_the_same_in_both_forms(options):
    tokenizer = Tokenizer([*PIECES, "É", "é", "ä", "##ä", "W", "中国"], **options)
    ids, starts, ends = tokenizer.in_graph().tokenize_with_offsets(tf.constant([*TEXTS, "É é 中国"]))
    for text, *row in zip([*TEXTS, "É é 中国"], ids.to_list(), starts.to_list(), ends.to_list(), strict=True):
        encoding = tokenizer.encode(text, special_tokens=False)
        assert row[0] == encoding.token_ids
        assert list(zip(*row[1:], strict=True)) == encoding.offsets


def test_words_that_are_never_split_stay_as_they_are_written_in_the_graph():
    texts = ["film C++ foo-bar c++", "C++,C++ C++", "中C++ C\u0000++", "##aff", "filmx x\u1dc4\u1baa \u1baa"]
    # The last has combining characters that NFD would put into another order.
    never_split = ["C++", "foo-bar", "##aff", "[SEP]", "filmx", "x\u1dc4\u1baa"]
    tokenizer = Tokenizer([*PIECES, "C++", "x\u1dc4\u1baa"], never_split=never_split)
    assert tokenizer.tokenize(texts[-1]) == ["[UNK]", "x\u1dc4\u1baa", "[UNK]"]
    assert tokenizer.in_graph()(tf.constant(texts)).to_list() == python_ids(tokenizer, texts)


def test_invalid_utf8_counts_the_same_code_points_in_both_forms(tokenizer, in_graph):
    rng = random.Random(0)
    texts = [
        bytes(rng.choice(b"a \xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\xed\xa0\xff") for _ in range(30))
        for _ in range(200)
    ]
    ids, starts, ends = in_graph.tokenize_with_offsets(tf.constant(texts))
    for text, *row in zip(texts, ids.to_list(), starts.to_list(), ends.to_list(), strict=True):
        encoding = tokenizer.encode(text, special_tokens=False)
        assert row[0] == encoding.token_ids
        assert list(zip(*row[1:], strict=True)) == encoding.offsets


def test_a_text_cannot_be_written_in_the_spelling_of_the_graph():
    # "§" and "؟" are punctuation only to some releases of Unicode, "C++" is never split: all are spelt anew.
    tokenizer = Tokenizer([*PIECES, "§", "ﬀ", "\ue000", "C++", "\U0001e5ff"])
    for options in ({}, {"never_split": ["C++"]}, {"split_chinese": False}):
        tokenizer = Tokenizer(tokenizer.vocabulary, **options)
        in_graph = tokenizer.in_graph(allow_special=["[MASK]"])
        stand_ins = [chr(0x3400 + k) for k in range(8)] + [chr(0xE000 + k) for k in range(8)]
        texts = [
            *stand_ins,
            "".join(stand_ins),
            "".join(stand_ins[8:]),
            "a§b \ue000",
            "C++ \U0001e5ff",
            "؟ a؟",
        ]
        texts += ["film" + char for char in stand_ins] + [char + "\u0301film" for char in stand_ins]
        expected = python_ids(tokenizer, texts, allow_special=["[MASK]"])
        assert in_graph(tf.constant(texts)).to_list() == expected
        assert [in_graph(tf.constant([text])).to_list()[0] for text in texts] == expected


def test_special_tokens_count_in_the_graph_where_they_are_allowed():
    tokenizer = Tokenizer([*PIECES, "σ", "##σ", "ς", "##ς", "C++"], never_split=["C++"])
    texts = [
        "a [MASK] film", "[MASK][MASK]", "a[MASK]b", "[mask] [PAD]", "ΑΣ[MASK]Σ", "[MASK]\u0301\u0301 é",
        "C++[MASK]C++", "[MAS", "K]", "[MASK", "中[MASK]国", "𝕏 [MASK] a", "a" * 199 + "[MASK]" + "a" * 201,
    ]  # fmt: skip
    for options in ({}, {"never_split": ()}):
        tokenizer = Tokenizer(tokenizer.vocabulary, **options)
        in_graph = tokenizer.in_graph(allow_special=["[MASK]"])
        encodings = [tokenizer.encode(t, special_tokens=False, allow_special=["[MASK]"]) for t in texts]
        for batch in (texts, *([text] for text in texts)):
            ids, starts, ends = (
                ragged.to_list() for ragged in in_graph.tokenize_with_offsets(tf.constant(batch))
            )
            expected = [encodings[texts.index(text)] for text in batch]
            assert ids == [encoding.token_ids for encoding in expected]
            spans = [list(zip(*row, strict=True)) for row in zip(starts, ends, strict=True)]
            assert spans == [encoding.offsets for encoding in expected]
        assert any(tokenizer.vocabulary.mask_id in encoding.token_ids for encoding in encodings)


def test_only_special_tokens_can_be_allowed_in_the_graph(tokenizer):
    with pytest.raises(UsageError, match="film"):
        tokenizer.in_graph(allow_special=["film"])


def test_utf16_offsets_and_replaced_bytes_equal_the_python_form(tokenizer, in_graph):
    raw = [text.encode() for text in ("a 😀 film", "😀😀", "", "中 é", "a \ufffd b")]
    raw += [b"a\xff film", b"\xf0\x9f\x98\x80 \xc3 b \xef\xbf\xbd", b"\xed\xa0\xbda \xf0\x9f"]
    encodings = tokenizer.encode_batch(raw, special_tokens=False)
    _, starts, ends = in_graph.tokenize_with_offsets(tf.constant(raw))
    utf16 = [in_graph.utf16_offsets(tf.constant(raw), places).to_list() for places in (starts, ends)]
    assert [list(zip(*row, strict=True)) for row in zip(*utf16, strict=True)] == [
        encoding.utf16_offsets() for encoding in encodings
    ]
    replaced = [encoding.num_replaced for encoding in encodings]
    assert in_graph.num_replaced(tf.constant(raw)).numpy().tolist() == replaced
    assert max(replaced) > 0


def test_every_ascii_character_alone_and_in_a_word_goes_the_short_way_right(tokenizer, in_graph):
    texts = [chr(c) for c in range(128)] + [f"fi{chr(c)}lm" for c in range(128)]
    one_by_one = [in_graph(tf.constant([text])).to_list()[0] for text in texts]
    assert one_by_one == python_ids(tokenizer, texts)


@pytest.mark.parametrize("truncation", ["longest_first", "only_second"])
@pytest.mark.parametrize("max_length", [3, 4, 9, 10, 50])
def test_packed_pairs_equal_the_python_form(tokenizer, in_graph, max_length, truncation):
    pairs = [("film " * a, "warm " * b) for a in range(0, 12, 2) for b in range(0, 12, 3)]
    texts, text_pairs = map(list, zip(*pairs, strict=True))
    ids, segments = in_graph.pack(
        in_graph(tf.constant(texts)), in_graph(tf.constant(text_pairs)), max_length, truncation
    )
    expected = tokenizer.encode_batch(texts, text_pairs, max_length=max_length, truncation=truncation)
    assert ids.to_list() == [encoding.token_ids for encoding in expected]
    assert segments.to_list() == [encoding.segment_ids for encoding in expected]


def test_single_texts_are_packed_and_truncated_as_in_python(in_graph, tokenizer):
    for max_length in (2, 5, None):
        ids, segments = in_graph.pack(in_graph(tf.constant(TEXTS)), max_length=max_length)
        expected = tokenizer.encode_batch(TEXTS, max_length=max_length)
        assert ids.to_list() == [encoding.token_ids for encoding in expected]
        assert segments.to_list() == [encoding.segment_ids for encoding in expected]


def test_features_are_padded_to_the_longest_of_the_batch(tokenizer, in_graph):
    features = in_graph.features(tf.constant(["film", "a warm film"]), tf.constant(["a", "b c"]))
    expected = tokenizer.encode_batch(["film", "a warm film"], ["a", "b c"])
    assert {name: (value.dtype, value.shape) for name, value in features.items()} == dict.fromkeys(
        ("token_ids", "segment_ids", "padding_mask"), (tf.int32, (2, 8))
    )
    for row, encoding in enumerate(expected):
        padding = 8 - len(encoding)
        assert features["token_ids"][row].numpy().tolist() == encoding.token_ids + [0] * padding
        assert features["segment_ids"][row].numpy().tolist() == encoding.segment_ids + [0] * padding
        assert features["padding_mask"][row].numpy().tolist() == [1] * len(encoding) + [0] * padding


def test_the_tokenizers_length_holds_in_the_graph():
    in_graph = Tokenizer(PIECES, max_length=6).in_graph()
    assert in_graph.features(tf.constant(["film " * 9]))["token_ids"].shape == (1, 6)
    assert in_graph(tf.constant(["film " * 9])).to_list() == [[PIECES.index("film")] * 9]


@pytest.mark.parametrize(("max_length", "stride"), [(9, 2), (9, 100), (7, 1), (40, 5)])
@pytest.mark.parametrize("with_pairs", [True, False])
def test_windows_equal_the_python_form(tokenizer, in_graph, max_length, stride, with_pairs):
    long = [" ".join(LETTERS[:count]) for count in (0, 1, 4, 5, 11, 30)] + ["Wärme 中国 naïve"]
    texts, pairs = (
        (["film " * count for count in (0, 1, 2, 3, 9, 1, 1)], long) if with_pairs else (long, None)
    )
    windows = in_graph.windows(
        tf.constant(texts), tf.constant(pairs) if with_pairs else None, max_length=max_length, stride=stride
    )
    expected, rows = [], []
    for row, text in enumerate(texts):
        of_text = tokenizer.windows(
            text, pairs[row] if with_pairs else None, max_length=max_length, stride=stride
        )
        expected += of_text
        rows += [row] * len(of_text)
    assert windows["row"].numpy().tolist() == rows
    assert windows["token_ids"].to_list() == [window.token_ids for window in expected]
    assert windows["segment_ids"].to_list() == [window.segment_ids for window in expected]
    spans = zip(windows["starts"].to_list(), windows["ends"].to_list(), strict=True)
    assert [list(zip(*span, strict=True)) for span in spans] == [window.offsets for window in expected]
    sequence_ids = [[-1 if which is None else which for which in window.sequence_ids] for window in expected]
    assert windows["sequence_ids"].to_list() == sequence_ids


def test_impossible_lengths_are_refused_while_tracing(in_graph):
    with pytest.raises(UsageError, match="max_length"):
        in_graph.features(tf.constant(["a"]), tf.constant(["b"]), max_length=2)
    with pytest.raises(UsageError, match="max_length"):
        in_graph.windows(tf.constant(["a"]))


def test_a_text_that_is_not_in_a_batch_is_refused(in_graph):
    with pytest.raises(UsageError, match="shape"):
        in_graph(tf.constant("film"))


def test_a_piece_too_long_for_the_graph_is_named():
    with pytest.raises(VocabularyError, match="vocabulary:6"):
        Tokenizer([*SPECIAL, "a" * 257]).in_graph()


def test_works_in_a_tf_data_map_with_batches_of_any_size(tokenizer, in_graph):
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS).batch(4).map(in_graph, num_parallel_calls=2)
    assert [ids for batch in dataset for ids in batch.to_list()] == python_ids(tokenizer, TEXTS)


def test_can_be_made_while_a_function_is_traced(tokenizer):
    @tf.function
    def ids(texts):
        return tokenizer.in_graph()(texts)

    assert ids(tf.constant(TEXTS)).to_list() == python_ids(tokenizer, TEXTS)


class Served(tf.Module):
    def __init__(self, in_graph):
        super().__init__()
        self.in_graph = in_graph

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.string)])
    def features(self, texts, text_pairs):
        return self.in_graph.features(texts, text_pairs, max_length=16)


def test_a_saved_model_carries_the_tokenizer_without_our_code(in_graph, tmp_path):
    texts, pairs = tf.constant(TEXTS), tf.constant(TEXTS[::-1])
    served = Served(in_graph)
    tf.saved_model.save(served, tmp_path, signatures=served.features)
    assert not served.variables
    loaded = tf.saved_model.load(tmp_path)
    expected = in_graph.features(texts, pairs, max_length=16)
    answered = loaded.signatures["serving_default"](texts=texts, text_pairs=pairs)
    assert answered.keys() == expected.keys()
    for name, value in expected.items():
        tf.debugging.assert_equal(answered[name], value)
