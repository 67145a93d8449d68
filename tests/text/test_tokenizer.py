"""`Tokenizer`: sequences, offsets, truncation, windows, folders, and text that means harm."""

import json
import subprocess
import sys

import pytest

from keras_bert.errors import UsageError, VocabularyError
from keras_bert.text.tokenizer import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [
    *SPECIAL,
    *"abcdefghijklmnopqrstuvwxyz0123456789!?,.[]#",
    *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"),
]
PIECES += ["un", "##aff", "##able", "film", "warm", "cafe", "中", "国", "人", "é", "É", "A"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(PIECES)


def test_worked_example(tokenizer):
    assert tokenizer.tokenize("unaffable") == ["un", "##aff", "##able"]
    assert tokenizer.decode(tokenizer.encode("A warm film!").token_ids) == "a warm film !"


def test_a_pair_is_framed_by_three_special_tokens(tokenizer):
    encoding = tokenizer.encode("warm film", "cafe")
    pieces = [PIECES[index] for index in encoding.token_ids]
    assert pieces == ["[CLS]", "warm", "film", "[SEP]", "cafe", "[SEP]"]
    assert encoding.segment_ids == [0, 0, 0, 0, 1, 1]
    assert encoding.sequence_ids == [None, 0, 0, None, 1, None]
    assert encoding.offsets == [(0, 0), (0, 4), (5, 9), (0, 0), (0, 4), (0, 0)]


def test_empty_text_is_two_special_tokens(tokenizer):
    assert tokenizer.encode("").token_ids == [2, 3]
    assert tokenizer.encode("", special_tokens=False).token_ids == []


def test_offsets_point_back_into_the_original_text(tokenizer):
    text = "  Cafe\u0301\u00a0中\u200d国,\u0000warm\t😀 unaffable"
    encoding = tokenizer.encode(text, special_tokens=False)
    stretches = [text[start:end] for start, end in encoding.offsets]
    assert stretches == ["Cafe\u0301", "中", "国", ",", "warm", "😀", "un", "aff", "able"]


def test_a_stripped_accent_belongs_to_the_letter_before_it_even_to_an_ideograph(tokenizer):
    assert tokenizer.encode("e\u0301\u0302f 中\u3099国", special_tokens=False).offsets == [
        (0, 3),
        (3, 4),
        (5, 7),
        (7, 8),
    ]


def test_utf16_offsets_count_as_javascript_does(tokenizer):
    text = "😀 film 😀 warm"
    encoding = tokenizer.encode(text, "中😀国")
    utf16 = [part.encode("utf-16-le") for part in encoding.texts]
    for (start, end), (start16, end16), which in zip(
        encoding.offsets, encoding.utf16_offsets(), encoding.sequence_ids, strict=True
    ):
        if which is not None:
            stretch = utf16[which][2 * start16 : 2 * end16].decode("utf-16-le")
            assert stretch == encoding.texts[which][start:end]
    assert encoding.utf16_offsets()[1:3] == [(0, 2), (3, 7)]


def test_text_never_becomes_a_special_token_unless_it_is_allowed(tokenizer):
    text = "[SEP] film [MASK]"
    assert not set(tokenizer.encode(text, special_tokens=False).token_ids) & {2, 3, 4}
    encoding = tokenizer.encode(text, special_tokens=False, allow_special=["[MASK]"])
    assert [PIECES[index] for index in encoding.token_ids] == ["[", "s", "##e", "##p", "]", "film", "[MASK]"]
    assert encoding.offsets[-1] == (11, 17)
    glued = tokenizer.encode("film[MASK]film", special_tokens=False, allow_special="[MASK]")
    assert [PIECES[index] for index in glued.token_ids] == ["film", "[MASK]", "film"]
    assert glued.offsets == [(0, 4), (4, 10), (10, 14)]


def test_only_special_tokens_can_be_allowed(tokenizer):
    with pytest.raises(UsageError, match="film"):
        tokenizer.encode("film", allow_special=["film"])


def test_bytes_that_are_not_utf8_are_dropped_and_counted(tokenizer):
    encoding = tokenizer.encode(b"wa\xff\xe2\x82rm \xef\xbf\xbd film", special_tokens=False)
    assert [PIECES[index] for index in encoding.token_ids] == ["warm", "film"]
    assert encoding.num_replaced == 2
    assert encoding.offsets == [(0, 6), (9, 13)]


@pytest.mark.parametrize(
    "text", ["\ud800warm\udfff", "\x00", "\u200d", "\ufffd", "\u0301", "\U0010ffff" * 300]
)
def test_no_text_raises(tokenizer, text):
    encoding = tokenizer.encode(text)
    assert encoding.token_ids[0] == 2 and encoding.token_ids[-1] == 3


def test_ten_million_letters_are_one_unknown_word(tokenizer):
    text = "a" * 10_000_000
    assert tokenizer.encode(text, special_tokens=False).offsets == [(0, 10_000_000)]


def test_a_text_that_is_no_text_is_refused(tokenizer):
    with pytest.raises(UsageError, match="int"):
        tokenizer.encode(5)


def reference_truncation(a, b, room):
    """One piece at a time from the longer; from the second where they are equal."""
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    return len(a), len(b)


def test_longest_first_equals_one_piece_at_a_time(tokenizer):
    for length_a in range(8):
        for length_b in range(8):
            for max_length in range(3, 20):
                encoding = tokenizer.encode("film " * length_a, "warm " * length_b, max_length=max_length)
                kept = encoding.sequence_ids.count(0), encoding.sequence_ids.count(1)
                assert kept == reference_truncation(range(length_a), range(length_b), max_length - 3)


def test_only_second_keeps_the_first_text_whole_as_long_as_it_fits(tokenizer):
    def kept(length_a, length_b, max_length):
        encoding = tokenizer.encode(
            "film " * length_a, "warm " * length_b, max_length, truncation="only_second"
        )
        return encoding.sequence_ids.count(0), encoding.sequence_ids.count(1)

    assert kept(4, 9, 10) == (4, 3)
    assert kept(4, 2, 10) == (4, 2)
    assert kept(9, 9, 10) == (7, 0)


def test_the_tokenizers_length_holds_for_sequences_not_for_bare_pieces():
    tokenizer = Tokenizer(PIECES, max_length=6)
    assert len(tokenizer.encode("film " * 9)) == 6
    assert len(tokenizer.encode("film " * 9, max_length=8)) == 8
    assert len(tokenizer.encode("film " * 9, special_tokens=False)) == 9


@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 2},
        {"max_length": -1, "special_tokens": False},
        {"truncation": "shortest", "max_length": 8},
    ],
)
def test_what_cannot_be_done_is_refused(tokenizer, options):
    with pytest.raises(UsageError):
        tokenizer.encode("film", "warm", **options)


def test_windows_cover_every_piece_and_repeat_the_question(tokenizer):
    text = "a b c d e f g h i j"
    windows = tokenizer.windows("warm film", text, max_length=9, stride=2)
    letters = []
    for window in windows:
        assert window.token_ids[:4] == tokenizer.encode("warm film").token_ids
        spans = [span for span, which in zip(window.offsets, window.sequence_ids, strict=True) if which == 1]
        letters.append("".join(text[start:end] for start, end in spans))
        assert len(window) <= 9
    assert letters == ["abcd", "cdef", "efgh", "ghij"]


def test_a_short_text_is_one_window_equal_to_encode(tokenizer):
    assert tokenizer.windows("film", max_length=10) == [tokenizer.encode("film")]


def test_a_question_longer_than_half_the_window_is_cut_to_it(tokenizer):
    windows = tokenizer.windows("film " * 20, "warm " * 5, max_length=11, stride=9)
    assert [(window.sequence_ids.count(0), window.sequence_ids.count(1)) for window in windows] == [
        (4, 4),
        (4, 1),
    ]


@pytest.mark.parametrize("options", [{}, {"max_length": 2}, {"max_length": 9, "stride": 0}])
def test_impossible_windows_are_refused(tokenizer, options):
    with pytest.raises(UsageError):
        tokenizer.windows("film", **options)


def test_options_change_what_they_say():
    assert Tokenizer(PIECES, lowercase=False).tokenize("A É é") == ["A", "É", "é"]
    assert Tokenizer(PIECES, strip_accents=False).tokenize("É") == ["é"]
    assert Tokenizer(PIECES, lowercase=False, strip_accents=True).tokenize("Éa") == ["[UNK]"]
    assert Tokenizer(PIECES, lowercase=False, strip_accents=True).tokenize("cafés") == ["cafe", "##s"]
    assert Tokenizer(PIECES, split_chinese=False).tokenize("中国 人") == ["[UNK]", "人"]


def test_words_that_are_never_split_stay_as_they_are_written():
    tokenizer = Tokenizer([*PIECES, "C++", "[SEP]x"], never_split=["C++", "[SEP]", "Foo-Bar"])
    assert tokenizer.tokenize("film C++ Foo-Bar c++") == ["film", "C++", "[UNK]", "c", "[UNK]", "[UNK]"]
    assert "[SEP]" not in tokenizer.tokenize("a [SEP] b")


def test_decode_joins_pieces_and_leaves_special_tokens_out(tokenizer):
    ids = tokenizer.encode("unaffable film", "中 😀").token_ids
    assert tokenizer.decode(ids) == "unaffable film 中 [UNK]"
    assert tokenizer.decode(ids, skip_special=False) == "[CLS] unaffable film [SEP] 中 [UNK] [SEP]"
    with pytest.raises(UsageError, match="99999"):
        tokenizer.decode([99999])


def test_a_batch_is_its_texts_one_by_one(tokenizer):
    texts, pairs = ["film", "warm film"], ["a", "b"]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    expected = [tokenizer.encode(text, pair, max_length=4) for text, pair in zip(texts, pairs, strict=True)]
    assert tokenizer.encode_batch(texts, pairs, max_length=4) == expected
    with pytest.raises(UsageError, match="text_pairs"):
        tokenizer.encode_batch(texts, ["a"])


def test_saved_folder_reads_back_the_same_and_keeps_what_it_does_not_know(tmp_path):
    config = {
        "do_lower_case": False,
        "strip_accents": True,
        "tokenize_chinese_chars": False,
        "never_split": ["C++"],
        "model_max_length": 77,
        "tokenizer_class": "DistilBertTokenizerFast",
        "name_or_path": "somebody/something",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert (tokenizer.lowercase, tokenizer.strip_accents, tokenizer.split_chinese) == (False, True, False)
    assert (tokenizer.never_split, tokenizer.max_length) == (("C++",), 77)

    copy = tmp_path / "copy"
    copy.mkdir()
    tokenizer.save(copy)
    saved = json.loads((copy / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert saved == {**saved, **config, "tokenizer_class": "BertTokenizer"}
    assert saved["mask_token"] == "[MASK]"
    again = Tokenizer.from_folder(copy)
    assert vars(again)["vocabulary"] == tokenizer.vocabulary
    assert again.encode("Aé C++ 中国") == tokenizer.encode("Aé C++ 中国")


def test_a_folder_without_a_limit_gives_a_tokenizer_without_one(tmp_path):
    Tokenizer(PIECES).save(tmp_path)
    config = json.dumps({"model_max_length": int(1e30)})
    (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.max_length is None
    (tmp_path / "copy").mkdir()
    tokenizer.save(tmp_path / "copy")
    assert Tokenizer.from_folder(tmp_path / "copy").max_length is None


def test_lowercase_given_by_the_caller_wins_over_the_folder(tmp_path):
    Tokenizer(PIECES).save(tmp_path)
    assert Tokenizer.from_folder(tmp_path).tokenize("A") == ["a"]
    assert Tokenizer.from_folder(tmp_path, lowercase=False).tokenize("A É") == ["A", "É"]


def test_a_folder_of_transformers_5_has_its_pieces_in_tokenizer_json(tmp_path):
    fast = {
        "normalizer": {
            "type": "BertNormalizer",
            "lowercase": False,
            "strip_accents": None,
            "handle_chinese_chars": True,
        },
        "model": {
            "type": "WordPiece",
            "vocab": {piece: index for index, piece in reversed(list(enumerate(PIECES)))},
        },
        "added_tokens": [{"id": 0, "content": "[PAD]"}],
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(fast), encoding="utf-8")
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.vocabulary.pieces == tuple(PIECES)
    assert tokenizer.tokenize("A") == ["A"]


@pytest.mark.parametrize(
    "config",
    [{"tokenizer_class": "BertJapaneseTokenizer"}, {"do_basic_tokenize": False}, {"cls_token": "<s>"}, [1]],
)
def test_another_kind_of_tokenizer_is_refused(tmp_path, config):
    Tokenizer(PIECES).save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(VocabularyError, match="tokenizer_config.json"):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    "option",
    [
        {"do_lower_case": "yes"},
        {"strip_accents": [1]},
        {"never_split": 3},
        {"never_split": [3]},
        {"model_max_length": "512"},
        {"model_max_length": -1},
        {"model_max_length": 51.2},
        {"mask_token": ["x"] * 10_000},
    ],
)
def test_an_option_of_another_type_is_refused_by_name(tmp_path, option):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(option))
    with pytest.raises(VocabularyError, match=next(iter(option))) as refusal:
        Tokenizer.from_folder(tmp_path)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    "content", ['{"normalizer": [1]}', '{"model": "x"}', '{"added_tokens": {}, "model": 5}', "[" * 100_000]
)
def test_a_damaged_tokenizer_json_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(VocabularyError, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)


def test_an_empty_folder_names_the_missing_vocabulary(tmp_path):
    with pytest.raises(VocabularyError, match=r"vocab\.txt"):
        Tokenizer.from_folder(tmp_path)


def test_the_real_minilm_folder_gives_known_ids(minilm_folder):
    tokenizer = Tokenizer.from_folder(minilm_folder)
    assert tokenizer.max_length == 512
    assert tokenizer.encode("unaffable").token_ids == [101, 14477, 20961, 3468, 102]


def test_python_form_needs_no_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None\n"
        f"from keras_bert.text.tokenizer import Tokenizer\nt = Tokenizer({PIECES!r})\n"
        "assert t.tokenize('Unaffable') == ['un', '##aff', '##able']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
