"""All that Google's tokeniser is known to do: 1,112,064 code points, 20,000 strings, 10,570 questions.

Each is counted in Python and in a graph that went through a SavedModel.
"""

import gc
import json
import lzma
import re

import pytest
import tensorflow as tf
from letter_pieces import letters_tokenizer, spelt

from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.unicode_table import MARK, unicode_table

pytestmark = pytest.mark.slow

CODE_POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
BATCH = 4096
PARTS = 3  # every third code point: a vocabulary of all ideographs leaves the graph none for the unknown ones


def rows(path):
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def tokenizer_for(data_folder, vocabulary: str) -> Tokenizer:
    lowercase = vocabulary in ("uncased", "chinese")
    return Tokenizer(data_folder / "vocab" / f"{vocabulary}_vocab.txt", lowercase=lowercase)


class Served(tf.Module):
    def __init__(self, tokenizer):
        super().__init__()
        self.in_graph = tokenizer.in_graph()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def spans(self, texts):
        return self.in_graph.tokenize_with_offsets(texts)


def through_saved_model(tokenizer, folder):
    """The tokeniser's graph, read back from a SavedModel."""
    tf.saved_model.save(Served(tokenizer), folder)
    return tf.saved_model.load(folder)


@pytest.fixture(scope="module")
def served(data_folder, tmp_path_factory):
    """Tokenisers by vocabulary, each with its graph read back from a SavedModel."""
    made = {}

    def get(vocabulary):
        if vocabulary not in made:
            tokenizer = tokenizer_for(data_folder, vocabulary)
            made[vocabulary] = tokenizer, through_saved_model(tokenizer, tmp_path_factory.mktemp(vocabulary))
        return made[vocabulary]

    return get


@pytest.fixture
def no_collector():
    """Millions of small lists live at once, in no cycle: the collector would walk them for nothing."""
    gc.disable()
    yield
    gc.enable()


def batches(values):
    return (values[begin : begin + BATCH] for begin in range(0, len(values), BATCH))


@pytest.mark.parametrize("vocabulary", ["uncased", "cased"])
def test_every_code_point_between_two_letters_gives_googles_words(
    data_folder, vocabulary, tmp_path, no_collector
):
    gold = dict(rows(data_folder / "gold_tokens" / f"codepoints_{vocabulary}.jsonl.xz"))
    counted, wrong_python, wrong_graph = 0, [], []
    for part in range(PARTS):
        points = CODE_POINTS[part::PARTS]
        expected = {point: gold.get(point, [f"a{chr(point)}b"]) for point in points}
        # Its pieces are the letters of these words where they stand in them: one that was lost, changed or
        # moved would be another piece, or its word [UNK].
        words = (word for row in expected.values() for word in row)
        tokenizer = letters_tokenizer(words, lowercase=vocabulary == "uncased")
        model = through_saved_model(tokenizer, tmp_path / str(part))
        texts = [f"a{chr(point)}b" for point in points]
        from_graph = [ids for batch in batches(texts) for ids in model.spans(tf.constant(batch))[0].to_list()]
        for point, text, graph_ids in zip(points, texts, from_graph, strict=True):
            counted += 1
            if spelt(tokenizer, graph_ids) != expected[point]:
                wrong_graph.append(hex(point))
            if tokenizer.encode(text, special_tokens=False).token_ids != graph_ids:
                wrong_python.append(hex(point))
    assert (counted, wrong_python, wrong_graph) == (1_112_064, [], [])


def test_20000_hostile_strings_give_googles_ids(served, data_folder):
    gold = rows(data_folder / "gold_tokens" / "fuzz.jsonl.xz")
    assert len(gold) == 20_000
    wrong = []
    for vocabulary in sorted({row["vocab"] for row in gold}):
        tokenizer, model = served(vocabulary)
        for batch in batches([row for row in gold if row["vocab"] == vocabulary]):
            texts = [row["text"] for row in batch]
            python = tokenizer.encode_batch(texts, special_tokens=False)
            ids, starts, ends = (ragged.to_list() for ragged in model.spans(tf.constant(texts)))
            for row, encoding, *graph in zip(batch, python, ids, starts, ends, strict=True):
                graph_spans = list(zip(*graph[1:], strict=True))
                if not row["ids"] == encoding.token_ids == graph[0] or encoding.offsets != graph_spans:
                    wrong.append(row["text"])
    assert wrong == []


def test_squad_questions_give_googles_pieces_and_ids(served, data_folder):
    tokenizer, model = served("uncased")
    folder = data_folder / "gold_tokens"
    questions = json.loads((folder / "question_tokens.json").read_text(encoding="utf-8"))
    gold_ids = json.loads((folder / "tokenized_questions.json").read_text(encoding="utf-8"))
    assert len(questions) == len(gold_ids) == 10_570
    texts = [question["original"] for question in questions]
    python = tokenizer.encode_batch(texts, special_tokens=False)
    assert [encoding.token_ids for encoding in python] == gold_ids
    assert [tokenizer.tokenize(text) for text in texts] == [question["wordpiece"] for question in questions]
    from_graph = [ids for batch in batches(texts) for ids in model.spans(tf.constant(batch))[0].to_list()]
    assert from_graph == gold_ids


def test_every_piece_of_20000_hostile_strings_is_where_its_offsets_say(served, data_folder):
    """The stretch of the text, normalised by itself, is the piece.

    A syllable that is cut between its letters is the exception: each piece has the whole syllable's stretch,
    and no shorter one would do. (A final sigma by itself is no longer final.)
    """

    def normalized(tokenizer, text):
        normalizer = tokenizer._segmenter._normalizer
        words = (word for chunk in normalizer.chunks(text) for word in normalizer.words(chunk[0]))
        return "".join(word.text for word in words).replace("ς", "σ")

    marks = unicode_table().character_class(MARK)
    wrong, seen = [], 0
    for row in rows(data_folder / "gold_tokens" / "fuzz.jsonl.xz"):
        tokenizer, _ = served(row["vocab"])
        encoding = tokenizer.encode(row["text"], special_tokens=False)
        for index, (start, end) in zip(encoding.token_ids, encoding.offsets, strict=True):
            piece = tokenizer.vocabulary.pieces[index].removeprefix("##").replace("ς", "σ")
            stretch = row["text"][start:end]
            seen += 1
            if piece != "[UNK]" and piece != normalized(tokenizer, stretch):
                core = re.sub(f"[{marks}]+$", "", stretch)
                shorter = [normalized(tokenizer, core[1:]), normalized(tokenizer, core[:-1])]
                if piece not in normalized(tokenizer, core) or any(piece in text for text in shorter):
                    wrong.append((row["text"], piece, stretch))
    assert seen > 100_000
    assert wrong == []
