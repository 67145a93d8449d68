"""Another vocabulary: kept rows keep their bits, new ones are means, and the model stays what it was."""

import json
import warnings

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints.name_table import ROWS
from keras_bert.checkpoints.vocabulary_change import VocabularyChange, extend_vocabulary
from keras_bert.cli.main import main
from keras_bert.errors import UsageError, VocabularyError
from keras_bert.text.vocabulary import Vocabulary

PIECES = (
    "[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    "co", "un", "a", "film", "warm", "##vid", "##s", "##able", "-", "我", "able",
)  # fmt: skip
VOCABULARY = Vocabulary(PIECES)
TOKENIZER = kb.Tokenizer(VOCABULARY)
CONFIG = kb.BertConfig(
    len(PIECES), 1, 2, 8, 12, max_sequence_length=10, embedding_dim=4, initializer_range=0.5
)
TEXTS = ["a warm film", "unable films 我", "zebra - warm"]
TABLE, BIAS, DECODER = "embeddings/token_embedding/embeddings", "masked_lm/output_bias", "masked_lm/decoder"


def randomised(bert, seed=0):
    """The same model with every weight random, biases too."""
    rng = np.random.default_rng(seed)
    models = [top for top in (bert.encoder, bert.model, bert.head_model) if top is not None]
    for variable in {v.path: v for top in models for v in top.weights}.values():
        variable.assign(rng.normal(0, 0.5, variable.shape).astype("float32"))
    return bert


def with_head(head=None, num_labels=None, config=CONFIG, **settings):
    bert = kb.Bert.from_config(config, TOKENIZER)
    if head:
        bert.add_head(head, num_labels, **settings)
    return randomised(bert)


@pytest.fixture(scope="module")
def untied():
    return with_head("pretraining", tied=False)


def rows_at(weights, path, vocabulary, *pieces):
    return np.stack([weights[path][vocabulary.ids[piece]] for piece in pieces])


def assert_carried(old, new, kept, vocabulary=VOCABULARY):
    """Every row of `kept` where it stands now, and every other weight, bit for bit."""
    before, after = old.weights(), new.weights()
    assert before.keys() == after.keys()
    for path, array in before.items():
        if path in (TABLE, BIAS, DECODER):
            assert len(after[path]) == new.config.vocabulary_size
            ours = (
                rows_at(w, path, v, *kept)
                for w, v in ((before, vocabulary), (after, new.tokenizer.vocabulary))
            )
            expected, found = ours
        else:
            expected, found = array, after[path]
        assert expected.tobytes() == found.tobytes(), path


# The vocabulary.


def test_new_pieces_take_the_unused_slots_first_and_the_end_after():
    new = extend_vocabulary(VOCABULARY, ["covid", "##mab", "spike"])
    assert new.pieces[1:3] == ("covid", "##mab") and new.pieces[-1] == "spike"
    assert new.pieces[3:-1] == PIECES[3:]


def test_without_use_unused_every_old_piece_keeps_its_id():
    assert extend_vocabulary(VOCABULARY, ["covid"], use_unused=False).pieces == (*PIECES, "covid")


BAD_PIECES = {
    "there": (["ok", "film", "warm"], "are in the vocabulary already: 'film', 'warm'"),
    "twice": (["covid", "ok", "covid"], "are given twice: 'covid'."),
    "special": (["[CLS]"], "are special tokens, whose meaning is fixed: '[CLS]'"),
    "blank": ([" "], "' ' cannot be a piece"),
    "spaces around": (["covid "], "'covid ' cannot be a piece"),
    "line break": (["co\nvid"], "'co\\nvid' cannot be a piece"),
    "number": ([19], "19 cannot be a piece"),
    "one text": ("covid", "The pieces are one text: 'covid'"),
}  # fmt: skip


@pytest.mark.parametrize(("pieces", "said"), BAD_PIECES.values(), ids=BAD_PIECES)
def test_what_cannot_be_added_is_refused_by_name(pieces, said):
    with pytest.raises(VocabularyError) as refusal:
        extend_vocabulary(VOCABULARY, pieces)
    assert said in str(refusal.value) and "Expected: " in str(refusal.value)


def test_a_special_token_that_is_not_there_is_no_piece_to_add_either():
    without = Vocabulary([piece for piece in PIECES if piece != "[MASK]"])
    with pytest.raises(VocabularyError, match=r"special tokens.*'\[MASK\]'"):
        extend_vocabulary(without, ["[MASK]"])


# Where the rows come from. The old row of a piece is its id, so a mean shows what was averaged.


def starts_from(piece, tokenizer=TOKENIZER):
    """The old pieces whose rows a new piece is the mean of: one column a piece."""
    vocabulary = tokenizer.vocabulary
    change = VocabularyChange(tokenizer, extend_vocabulary(vocabulary, [piece], use_unused=False))
    row = change.weights({TABLE: np.eye(len(vocabulary), dtype="float32")})[TABLE][-1]
    assert row.sum() == pytest.approx(1)
    return {vocabulary.pieces[index] for index in np.flatnonzero(row)}


@pytest.mark.parametrize(
    ("piece", "old"),
    [
        ("covid", {"co", "##vid"}),
        ("films", {"film", "##s"}),
        ("Films", {"film", "##s"}),  # as the old tokeniser reads it
        ("warm-film", {"warm", "-", "film"}),
        ("##vids", {"##vid", "##s"}),  # a continuation is cut as one
        ("##ables", {"##able", "##s"}),  # though "able" is a piece, too
        ("##film", {"film"}),  # nothing continues so: the piece that begins a word is the next best
        ("vid", {"##vid"}),  # and the other way round
        ("##s-able", {"##s", "-", "able"}),  # the first word alone continues one
        ("warm-zebra", {"warm", "-"}),  # what cannot be spelt is left out
        ("zebra", {"[UNK]"}),
        ("##zebra", {"[UNK]"}),
    ],
)  # fmt: skip
def test_a_new_piece_begins_as_the_mean_of_the_pieces_it_was_cut_into(piece, old):
    assert starts_from(piece) == old


def test_a_piece_that_is_cut_into_one_piece_twice_counts_it_twice():
    change = VocabularyChange(TOKENIZER, extend_vocabulary(VOCABULARY, ["coss"], use_unused=False))
    row = change.weights({TABLE: np.eye(len(PIECES), dtype="float32")})[TABLE][-1]
    assert (row[PIECES.index("co")], row[PIECES.index("##s")]) == (np.float32(1 / 3), np.float32(2 / 3))


def test_a_word_that_is_never_split_begins_as_its_parts_and_not_as_unk():
    assert starts_from("Co-vid", kb.Tokenizer(VOCABULARY, never_split=["Co-vid"])) == {"co", "-", "##vid"}


def test_a_cased_tokeniser_cuts_as_a_cased_one():
    assert starts_from("Film", kb.Tokenizer(VOCABULARY, lowercase=False)) == {"[UNK]"}


def test_every_table_of_pieces_is_changed():
    change = VocabularyChange(TOKENIZER, extend_vocabulary(VOCABULARY, ["covid"], use_unused=False))
    sizes = {"V": len(PIECES)}
    old = {row.ours: np.zeros([sizes.get(letter, 3) for letter in row.shape]) for row in ROWS}
    changed = {path for path, array in change.weights(old).items() if array.shape != old[path].shape}
    assert changed == {row.ours for row in ROWS if "V" in row.shape} == {TABLE, BIAS, DECODER}


def test_half_precision_stays_and_a_mean_is_not_rounded_on_the_way():
    table = np.full((len(PIECES), 2), 57600, np.float16)  # twice that is more than float16 holds
    table[PIECES.index("##vid")] = 60160
    change = VocabularyChange(TOKENIZER, extend_vocabulary(VOCABULARY, ["covid"]))
    found = change.weights({TABLE: table})[TABLE]
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found[1], np.float16(58880))


# The model.


@pytest.mark.parametrize("use_unused", [True, False])
def test_a_longer_vocabulary_keeps_every_row_and_begins_new_ones_as_means(untied, use_unused):
    vocabulary = extend_vocabulary(VOCABULARY, ["covid", "##ables"], use_unused=use_unused)
    new = untied.with_vocabulary(vocabulary)
    assert new.config == untied.config.replace(vocabulary_size=len(PIECES) + (0 if use_unused else 2))
    assert_carried(untied, new, PIECES[3:] if use_unused else PIECES)
    for path in (TABLE, BIAS, DECODER):
        for piece, parts in (("covid", ("co", "##vid")), ("##ables", ("##able", "##s"))):
            found = rows_at(new.weights(), path, vocabulary, piece)[0]
            expected = rows_at(untied.weights(), path, VOCABULARY, *parts).mean(axis=0)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_a_shuffled_shorter_vocabulary_moves_the_rows_and_drops_those_of_what_is_gone(untied):
    kept = ["film", "[UNK]", "##s", "[SEP]", "[MASK]", "[CLS]", "[PAD]", "warm"]
    new = untied.with_vocabulary(kept)
    assert (new.config.vocabulary_size, new.config.pad_token_id) == (8, 6)
    assert_carried(untied, new, kept)


def test_the_old_model_stays_as_it_was(untied):
    before = untied.weights()
    untied.with_vocabulary(extend_vocabulary(VOCABULARY, ["covid"]))
    assert len(untied.tokenizer.vocabulary) == untied.config.vocabulary_size == len(PIECES)
    for path, array in untied.weights().items():
        assert array.tobytes() == before[path].tobytes()


MOVED = ["##able", *reversed(PIECES), "covid"][1:]  # every id another one


@pytest.mark.parametrize("head", ["pretraining", "token_classification", "question_answering", None])
def test_texts_without_new_pieces_have_the_same_outputs_bit_for_bit(head):
    bert = with_head(head, 3 if head == "token_classification" else None)
    new = bert.with_vocabulary(MOVED)
    assert new.head == head
    before, after = bert.encode(TEXTS), new.encode(TEXTS)
    # [PAD] is another id, too: padding is masked, but has an output.
    for name in before:
        assert before[name].tobytes() == after[name].tobytes(), name
    if head is not None:
        ours, theirs = (b.head_model(b.preprocess(TEXTS), training=False) for b in (bert, new))
        for name, expected in ours.items():
            expected, found = np.asarray(expected), np.asarray(theirs[name])
            if name == "mlm_logits":  # the same scores for the same pieces, by their new ids
                found = found[..., [new.tokenizer.vocabulary.ids[piece] for piece in PIECES]]
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)  # another product's order
            else:
                assert expected.tobytes() == found.tobytes(), name


def test_a_new_piece_is_read_and_changes_the_text_it_is_in(untied):
    new = untied.with_vocabulary(extend_vocabulary(VOCABULARY, ["covid", "##mab"]))
    assert untied.tokenizer.tokenize("covid filmmab") == ["co", "##vid", "[UNK]"]
    assert new.tokenizer.tokenize("covid filmmab") == ["covid", "film", "##mab"]
    assert list(new.preprocess(["covid"])["token_ids"][0].numpy()) == [4, 1, 5]


def test_a_tied_masked_lm_stays_tied():
    bert = with_head("masked_lm")
    new = bert.with_vocabulary(extend_vocabulary(VOCABULARY, ["covid"], use_unused=False))
    assert DECODER not in new.weights()
    assert new.head_model(new.preprocess(TEXTS))["mlm_logits"].shape[-1] == len(PIECES) + 1
    assert_carried(bert, new, PIECES)


def test_a_task_keeps_its_head_labels_and_answers():
    bert = randomised(
        kb.Bert.from_config(CONFIG, TOKENIZER, "classification", labels=["b", "a"], max_length=9)
    )
    new = bert.with_vocabulary(MOVED)
    assert (new.task.name, new.task.settings()) == ("classification", bert.task.settings())
    assert new.predict(TEXTS) == bert.predict(TEXTS)
    assert_carried(bert, new, PIECES)


@pytest.mark.slow
def test_a_changed_model_trains():
    bert = randomised(
        kb.Bert.from_config(CONFIG, TOKENIZER, "classification", labels=["b", "a"], max_length=9)
    )
    new = bert.with_vocabulary(extend_vocabulary(VOCABULARY, ["covid"]))
    new.model.compile()
    before = new.weights()[TABLE][1]
    new.model.fit(new.dataset((["a covid film", "warm"], ["a", "b"])), verbose=0)
    assert (new.weights()[TABLE][1] != before).all()


def test_labels_pooling_and_unknown_keys_of_the_config_go_along():
    bert = with_head("sequence_classification", 2)
    bert.head_labels, bert.pooling = ["x", "y"], object()
    bert.raw_config = {
        "bos_token_id": 4,
        "sep_token_id": 1,
        "eos_token_id": None,
        "note": 1,
        "pad_token_id": 0,
    }
    new = bert.with_vocabulary([piece for piece in MOVED if piece != "[unused0]"])
    assert new.head_labels == ["x", "y"] and new.pooling is bert.pooling
    cls = new.tokenizer.vocabulary.cls_id
    assert new.raw_config == {**bert.raw_config, "bos_token_id": cls, "sep_token_id": None} and cls != 4


def test_every_option_of_the_tokeniser_stays():
    options = {
        "lowercase": False, "strip_accents": True, "split_chinese": False,
        "never_split": ("co-vid",), "max_length": 7,
    }  # fmt: skip
    bert = kb.Bert(CONFIG, kb.Tokenizer(VOCABULARY, **options))
    new = bert.with_vocabulary(extend_vocabulary(VOCABULARY, ["co-vid"])).tokenizer
    assert {name: getattr(new, name) for name in options} == options
    assert new.tokenize("co-vid") == ["co-vid"]


def test_the_network_keeps_its_precision():
    bert = kb.Bert.from_config(CONFIG, TOKENIZER, dtype="mixed_bfloat16")
    new = bert.with_vocabulary(MOVED)
    assert new.encoder.get_layer("embeddings").dtype_policy.name == "mixed_bfloat16"
    assert new.encoder.get_layer("block_0").compute_dtype == "bfloat16"


def test_rows_beyond_the_old_vocabulary_go_and_a_multiple_pads_with_rows_that_are_never_predicted():
    bert = with_head("masked_lm", config=CONFIG.replace(vocabulary_size=24))
    assert bert.with_vocabulary(VOCABULARY).config.vocabulary_size == len(PIECES) == 18
    new = bert.with_vocabulary(extend_vocabulary(VOCABULARY, ["covid"], use_unused=False), pad_to_multiple=8)
    assert new.config.vocabulary_size == 24
    assert_carried(bert, new, PIECES)
    assert not new.weights()[TABLE][19:].any() and new.weights()[TABLE][18].any()
    assert np.asarray(new.head_model(new.preprocess(TEXTS))["mlm_logits"])[..., 19:].max() < -9000
    assert bert.with_vocabulary(VOCABULARY, pad_to_multiple=9).config.vocabulary_size == 18


@pytest.mark.parametrize("multiple", [0, -8, 1.5, True, "8"])
def test_a_multiple_that_is_none_is_refused(untied, multiple):
    with pytest.raises(UsageError, match="pad_to_multiple: .*is no multiple"):
        untied.with_vocabulary(VOCABULARY, pad_to_multiple=multiple)


def test_a_vocabulary_without_a_special_token_is_refused(untied):
    with pytest.raises(VocabularyError, match=r"the special token \[SEP\] is missing"):
        untied.with_vocabulary([piece for piece in PIECES if piece != "[SEP]"])


# Pieces that no text is cut into.


def test_new_pieces_that_no_text_is_cut_into_are_named(untied):
    pieces = [
        "Covid",
        "covid-19",
        "new york",
        "我我",
        "##-",
        "##我",
        "é",
        "covid",
        "##mab",
        "[unused7]",
        "x" * 201,
    ]
    with pytest.warns(UserWarning) as caught:
        untied.with_vocabulary(extend_vocabulary(VOCABULARY, pieces))
    [message] = [str(warning.message) for warning in caught]
    assert message.startswith(
        "8 of 11 new pieces will never be read from a text: 'Covid', 'covid-19', 'new york',"
    )
    for piece in pieces[:7]:
        assert repr(piece) in message
    assert "'covid'" not in message and "mab" not in message and "unused" not in message


def test_pieces_that_are_read_give_no_warning(untied):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        untied.with_vocabulary(extend_vocabulary(VOCABULARY, ["covid", "##mab", "是", "[unused7]", "!"]))


# On disk.


def test_a_saved_change_loads_with_the_same_bits_and_answers(tmp_path, untied):
    new = untied.with_vocabulary(extend_vocabulary(VOCABULARY, ["covid", "##mab", "spike"]))
    new.save(tmp_path / "out")
    again = kb.load(tmp_path / "out")
    assert again.config == new.config and again.tokenizer.vocabulary == new.tokenizer.vocabulary
    for path, array in new.weights().items():
        assert again.weights()[path].tobytes() == array.tobytes(), path
    assert again.encode("covid")["pooled_output"].tobytes() == new.encode("covid")["pooled_output"].tobytes()


def test_tokens_that_hugging_face_numbers_a_second_time_are_renumbered(tmp_path):
    bert = with_head()
    bert.tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    tokens = {"0": {"content": "[PAD]"}, "3": {"content": "[UNK]"}, "1": {"content": "[unused0]"}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "added_tokens_decoder": tokens}))
    bert.tokenizer = kb.Tokenizer.from_folder(tmp_path)
    new = bert.with_vocabulary(extend_vocabulary(Vocabulary(PIECES[::-1]), ["covid", "##mab"]))
    assert new.tokenizer.hf_settings["added_tokens_decoder"] == {
        "17": {"content": "[PAD]"}, "14": {"content": "[UNK]"},
    }  # fmt: skip
    assert bert.tokenizer.hf_settings["added_tokens_decoder"] == tokens


@pytest.fixture(scope="module")
def model(tmp_path_factory, untied):
    folder = tmp_path_factory.mktemp("model") / "model"
    untied.save(folder)
    return folder


def convert(model, output, *more):
    return main(["convert", f"--model_dir={model}", f"--output_dir={output}", *more])


@pytest.mark.parametrize("way", ["list", "file"])
def test_convert_adds_pieces_from_a_list_or_a_file(way, model, tmp_path, untied, capsys):
    (tmp_path / "new.txt").write_bytes(b"\xef\xbb\xbfcovid\r\n##mab\r\n\r\n")
    given = {"list": "covid, ##mab", "file": tmp_path / "new.txt"}[way]
    assert convert(model, tmp_path / "out", f"--add_pieces={given}") == 0
    assert "18 pieces" in capsys.readouterr().out
    found = kb.load(tmp_path / "out")
    assert found.tokenizer.vocabulary.pieces[1:3] == ("covid", "##mab")
    assert_carried(untied, found, PIECES[3:])


def test_convert_takes_another_vocabulary_and_pads_its_tables(model, tmp_path, untied, capsys):
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in MOVED), encoding="utf-8")
    arguments = [f"--vocab_file={tmp_path / 'vocab.txt'}", "--pad_to_multiple=8"]
    assert convert(model, tmp_path / "out", *arguments) == 0
    assert "19 pieces" in capsys.readouterr().out
    found = kb.load(tmp_path / "out")
    assert (found.config.vocabulary_size, found.config.pad_token_id) == (24, 17)
    assert_carried(untied, found, PIECES)


BAD_FLAGS = {
    "both": (["--vocab_file=x", "--add_pieces=x"], "--vocab_file and --add_pieces exclude each other"),
    "multiple alone": (["--pad_to_multiple=8"], "--pad_to_multiple is for changed tables"),
    "multiple of 0": (["--add_pieces=covid", "--pad_to_multiple=0"], "pad_to_multiple"),
    "no such pieces": (["--add_pieces=nowhere/new.txt"], "There is no such file"),
    "no such vocabulary": (["--vocab_file=nowhere.txt"], "nowhere.txt: cannot be read"),
    "nothing": (["--add_pieces=,"], "--add_pieces=,: There are no pieces"),
    "there": (["--add_pieces=covid,film"], "are in the vocabulary already: 'film'"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD_FLAGS.values(), ids=BAD_FLAGS)
def test_bad_flags_get_one_message_and_write_nothing(arguments, said, model, tmp_path, capsys):
    assert convert(model, tmp_path / "out", *arguments) == 2
    message = capsys.readouterr().err
    assert said in message and message.startswith("keras-bert convert: ")
    assert not (tmp_path / "out").exists()
