"""`check_files` sees the faults that were planted, counts them right, and sees none where there are none."""

import csv
import unicodedata

import pytest

from keras_bert.data.check import check_files
from keras_bert.data.check_texts import damage, normalised, suggested_length
from keras_bert.data.tolerant import tolerant_rows
from keras_bert.errors import DataError
from keras_bert.text.tokenizer import Tokenizer

WANTED = ("text", "label")


def table(*rows, name="a"):
    """(location, row) of (text, label) or (text, text_pair, label)."""
    names = [("text", "label"), ("text", "text_pair", "label")]
    return [(f"{name}:{i}", dict(zip(names[len(r) - 2], r, strict=True))) for i, r in enumerate(rows, 1)]


def check(*rows, **options):
    """The report of one file."""
    return check_files({"train": table(*rows)}, **options)


def kinds(report):
    return [(finding["level"], finding["kind"], finding["file"]) for finding in report["findings"]]


def found(report, kind):
    [finding] = [finding for finding in report["findings"] if finding["kind"] == kind]
    return finding


def places(examples):
    return [example["places"] for example in examples]


def target(rows):
    return check_files({"train": [(f"a:{i}", row) for i, row in enumerate(rows, 1)]})["files"]["train"][
        "targets"
    ]


def test_clean_rows_have_no_findings():
    assert check(("good film", "1"), ("bad film", "0"))["findings"] == []


def test_exact_and_near_repeats_are_told_apart():
    report = check(
        ("Good film", "1"), ("bad", "0"), ("Good film", "1"), ("ｇｏｏｄ\u3000film ", "1"),
        ("ｇｏｏｄ\u3000film ", "1"),
    )  # fmt: skip
    repeats = report["files"]["train"]["repeats"]
    assert (repeats["exact"], repeats["near"]) == (2, 1)
    assert places(repeats["examples"]["exact"]) == [["a:1", "a:3"], ["a:4", "a:5"]]
    assert places(repeats["examples"]["near"]) == [["a:1", "a:4"]]
    assert repeats["examples"]["near"][0]["text"] == "Good film"


def test_contradicting_labels_are_shown_with_both_places():
    report = check(("a film", "1"), ("b film", "0"), ("A film", "1"), ("a  film", "0"))
    finding = found(report, "contradiction")
    assert finding["level"] == "grave" and finding["rows"] == 3
    assert finding["examples"] == [{"places": ["a:1", "a:4"], "text": "A film", "labels": ["1", "0"]}]


def test_labels_that_differ_only_in_case_or_space_do_not_contradict_but_are_reported():
    report = check(("a film", "Good"), ("a film", "good "), ("bad", "bad"), ("worse", "bad"))
    assert {"label_variants", "untrimmed_label"} <= {kind for _, kind, _ in kinds(report)}
    assert report["files"]["train"]["contradictions"]["texts"] == 0
    assert "'Good' (1) and 'good' (1)" in found(report, "label_variants")["what"]


def test_a_pair_is_one_text():
    report = check(("one", "two", "1"), ("one", "three", "0"), ("onetwo", "", "0"), ("One", "two ", "0"))
    repeats = report["files"]["train"]["repeats"]
    assert (repeats["exact"], repeats["near"]) == (0, 1)
    assert places(found(report, "contradiction")["examples"]) == [["a:1", "a:4"]]


def test_leaks_are_counted_with_same_and_with_other_labels():
    report = check_files({
        "train": table(("a film", "1"), ("a film", "1"), ("b film", "0"), ("c film", "0"), name="t"),
        "eval": table(("d", "1"), ("A film", "1"), ("b film", "1"), ("a film", "0"), ("e", "0"), name="e"),
    })  # fmt: skip
    leaks = report["leaks"]["eval"]
    assert (leaks["rows"], leaks["same_label"], leaks["other_label"], leaks["exact"]) == (3, 1, 2, 2)
    assert leaks["share"] == 3 / 5 and leaks["training_rows"] == 3
    assert places(leaks["examples"]) == [["e:4", "t:1"], ["e:3", "t:3"], ["e:2", "t:1"]]
    assert leaks["examples"][1] == {"places": ["e:3", "t:3"], "text": "b film", "labels": ["1", "0"]}
    assert report["findings"][0]["kind"] == "leak"


def test_classes_of_one_file_only_are_named():
    report = check_files({
        "train": table(("a", "x"), ("b", "y"), ("c", "z")),
        "eval": table(("d", "x"), ("e", "mixed")),
    })  # fmt: skip
    assert found(report, "new_class")["what"] == "These labels occur in the eval file only: 'mixed' (1)"
    assert found(report, "missing_class")["what"].endswith("'y' (1), 'z' (1)")
    assert found(report, "new_class")["level"] == "grave"


def test_shares_and_majority_of_classes():
    report = check(*[(f"text {i}", "no") for i in range(97)], *[(f"t {i}", "yes") for i in range(3)])
    targets = report["files"]["train"]["targets"]
    assert targets["counts"] == {"no": 97, "yes": 3} and targets["majority_share"] == 0.97
    assert [kind for _, kind, _ in kinds(report)] == ["majority", "rare_class"]


def test_a_single_class_and_as_many_classes_as_rows_are_doubted():
    assert [kind for _, kind, _ in kinds(check(("one film", "x"), ("two films", "x")))] == ["one_class"]
    report = check(*[(f"text {i}", f"id {i}") for i in range(30)])
    assert [kind for _, kind, _ in kinds(report)] == ["many_classes"]


def test_labels_with_fractions_are_scores():
    report = check(("a film", "5.00"), ("b film", "2.5"), ("a film", "5"), ("b film", "0"))
    assert report["files"]["train"]["targets"] == {
        "kind": "score", "unlabelled": 0, "min": 0, "mean": 3.125, "max": 5,
    }  # fmt: skip
    finding = found(report, "differing_scores")
    assert finding["level"] == "warning" and places(finding["examples"]) == [["a:2", "a:4"]]
    assert target([{"text": "a", "label": "1"}, {"text": "b", "label": "2.0"}])["kind"] == "label"
    assert target([{"text": "a", "score": 1}, {"text": "b", "score": 2}])["kind"] == "score"


def test_several_labels_are_counted_however_they_are_written():
    targets = target([
        {"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": '["y"]'},
        {"text": "c", "labels": "z, y"}, {"text": "d", "labels": ""}, {"text": "e"},
    ])  # fmt: skip
    assert targets["counts"] == {"y": 3, "x": 1, "z": 1} and targets["rows_without"] == 2


def test_entities_and_words_are_counted():
    spans = [{"start": 0, "end": 4, "label": "name"}, {"start": 14, "end": 18, "label": "place"}]
    rows = [{"text": "Anna lives in Rome", "spans": spans}, {"text": "Anna", "spans": [[0, 4, "name"]]}]
    targets = target([*rows, {"text": "nobody here"}])
    assert targets["counts"] == {"name": 2, "place": 1}
    assert (targets["words"], targets["rows_without"]) == (7, 1)


def test_spans_that_cut_a_word_are_counted():
    def cut(text, start, end):
        return target([{"text": text, "spans": [[start, end, "name"]]}])["cut_spans"]

    assert cut("the Eurozone", 4, 8) == cut("the Eurozone", 8, 12) == cut("Köln", 0, 2) == 1
    assert cut("the Euro-zone", 4, 8) == cut("北京市", 0, 2) == cut("the Eurozone", 4, 12) == 0
    assert cut("タワー", 0, 2) == 1  # kana are no ideographs: BERT's words do not end at them
    rows = [{"text": "the Eurozone", "spans": [[4, 8, "name"]]}] * 2
    report = check_files({"train": [(f"a:{i}", row) for i, row in enumerate(rows, 1)]})
    finding = found(report, "cut_word")
    assert finding["rows"] == 2 and finding["what"].endswith("the first: a:1")


def test_spans_that_cannot_be_are_unreadable_rows_and_checking_goes_on():
    rows = [("a:1", {"text": "Anna", "spans": [[0, 9, "name"]]}), ("a:2", {"text": "Rome", "spans": []})]
    report = check_files({"train": rows})
    assert report["files"]["train"]["rows"] == 1
    assert places(found(report, "unreadable")["examples"]) == [["a:1"]]


def test_questions_without_answers_and_answers_that_are_not_there_are_counted():
    def row(question, *answers):
        return {"question": question, "context": "Paris is in France", "answers": list(answers)}

    rows = [row("Where?", {"text": "France", "start": 12}, {"text": "Europe", "start": -1}), row("Who?")]
    targets = target(rows)
    assert (targets["unanswerable"], targets["answers_not_found"]) == (1, 1)


def test_unreadable_rows_are_listed_up_to_twenty_and_all_counted():
    rows = [(f"a:{i}", DataError(f"fault {i}", where=f"a:{i}")) for i in range(30)]
    unreadable = check_files({"train": [*rows, *table(("good", "1"))]})["files"]["train"]["unreadable"]
    assert (unreadable["rows"], len(unreadable["examples"])) == (30, 20)
    assert unreadable["examples"][3] == {"places": ["a:3"], "text": "fault 3"}


def test_a_reader_that_gives_up_ends_the_reading_and_that_is_said():
    def rows():
        yield from table(("good", "1"))
        raise DataError("not valid utf-8", where="a:2")

    report = check_files({"train": rows()})
    assert report["files"]["train"]["rows"] == 1 and report["files"]["train"]["unreadable"]["reading_ended"]
    assert "reading ended" in found(report, "unreadable")["what"]


def test_a_file_without_one_good_row_is_refused_with_its_first_fault():
    with pytest.raises(DataError, match="fault 0"):
        check_files({"train": [(f"a:{i}", DataError(f"fault {i}")) for i in range(2)]})


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("cliché, naïve, 我们, «à », NÃO, São, 10 €", []),
        ("clichÃ© and naÃ¯ve", ["mojibake"]),
        ("fiancã© in lower case", ["mojibake"]),
        ("itâ€™s", ["mojibake"]),
        ("Iraqâ\x80\x99s", ["mojibake"]),
        ("å¥½", ["mojibake"]),
        ("锟斤拷", ["mojibake"]),
        ("lost \ufffd bytes", ["replacement_character"]),
        ("a &amp; b", ["html"]),
        ("&#183; and &#x4e2d;", ["html"]),
        ("good.<br /><br />Bad.", ["html"]),
        ("<a href='x'>here</a>", ["html"]),
        ("AT&T; R&D &c.; x < y > z, <3, <unk>", []),
    ],
)
def test_signs_of_damage_are_seen_and_genuine_text_has_none(text, signs):
    assert damage(text) == signs


def test_short_wordless_and_long_texts_are_noted():
    report = check(("ok", "1"), ("... !!", "0"), ("x " * 5001, "1"))
    assert sorted(kind for _, kind, _ in kinds(report)) == ["long", "short", "wordless"]
    assert report["files"]["train"]["texts"]["characters"]["max"] == 10_002


def test_texts_are_compared_after_folding():
    assert normalised(" Ｇood\u00a0 FILM\t") == normalised("good film") == "good film"
    assert normalised("Straße") == normalised("STRASSE")
    assert normalised("cafe\u0301") == normalised("café")


def test_pieces_are_counted_with_special_tokens_and_the_length_holds_99_per_cent():
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
    rows = [("a " * n, "01"[n % 2]) for n in range(1, 101)]
    report = check(*rows, ("☃ a", "b", "1"), tokenizer=tokenizer, max_length=90)
    tokens = report["files"]["train"]["texts"]["tokens"]
    assert tokens["lengths"] == {"50": 52, "90": 92, "95": 97, "99": 101, "max": 102}
    assert tokens["truncated"] == 12  # 91 to 102 pieces
    assert report["suggested_length"] == 112
    assert tokens["unknown_share"] == 1 / (5050 + 3) and tokens["unknown_words"] == ["☃"]
    remedy = found(report, "truncated")["remedy"]
    assert "--max_seq_length=112" in remedy and "--stride" in remedy


def test_a_context_longer_than_a_sequence_is_read_in_windows():
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])
    answers = [{"text": "b", "start": 60}]
    rows = [{"question": "a", "context": "a " * 30 + "b", "answers": answers},
            {"question": "a", "context": "b", "answers": [{"text": "b", "start": 0}]}]  # fmt: skip
    named = [(f"a:{i}", row) for i, row in enumerate(rows, 1)]
    report = check_files({"train": named}, tokenizer, 16)
    finding = found(report, "windows")
    assert (finding["level"], finding["rows"]) == ("note", 1) and "truncated" not in kinds(report)


@pytest.mark.parametrize(("needed", "enough"), [(1, 16), (16, 16), (17, 32), (512, 512), (600, 512)])
def test_suggested_lengths_are_multiples_of_16_up_to_what_a_bert_has(needed, enough):
    assert suggested_length(needed) == enough


def rows_of(path, columns=None):
    return tolerant_rows(path, wanted=WANTED, optional=("text_pair",), columns=columns)


def counted(path, *columns, header):
    """Counts by another way than `check`: the csv module, sets and lists."""
    with open(path, encoding="utf-8", newline="\n") as file:
        cells = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[header:]
    keys = [
        tuple(" ".join(unicodedata.normalize("NFKC", row[c]).casefold().split()) for c in columns[:-1])
        for row in cells
    ]
    return keys, [row[columns[-1]].strip() for row in cells]


@pytest.mark.parametrize(
    ("folder", "columns", "header", "repeats", "contradictions", "leaks"),
    [
        ("glue/SST-2", (1, 0), 1, 371, 5, (0, 0)),
        ("glue/RTE", (1, 2, 3), 1, 2, 0, (0, 0)),
        ("zh/ChnSentiCorp", (0, 1), 0, 1351, 24, (338, 330)),
    ],
)
def test_real_data_are_counted_as_another_way_counts_them(
    data_folder, folder, columns, header, repeats, contradictions, leaks
):
    paths = {"train": data_folder / folder / "train.tsv", "eval": data_folder / folder / "dev.tsv"}
    given = None if header else {"text": 0, "label": 1}
    report = check_files({name: rows_of(path, given) for name, path in paths.items()})
    train, dev = (counted(path, *columns, header=header) for path in paths.values())
    file, leak = report["files"]["train"], report["leaks"]["eval"]
    assert file["rows"] == len(train[0]) and report["files"]["eval"]["rows"] == len(dev[0])
    assert file["targets"]["counts"] == {label: train[1].count(label) for label in set(train[1])}
    found_repeats = file["repeats"]["exact"] + file["repeats"]["near"]
    assert found_repeats == len(train[0]) - len(set(train[0])) == repeats
    labelled = set(zip(*train, strict=True))
    assert file["contradictions"]["texts"] == len(labelled) - len(set(train[0])) == contradictions
    known = set(train[0])
    assert leak["rows"] == sum(key in known for key in dev[0]) == leaks[0]
    assert leak["same_label"] == sum(pair in labelled for pair in zip(*dev, strict=True)) == leaks[1]
