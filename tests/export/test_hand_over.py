"""What lies beside a `.tflite` file for those who build it into applications."""

import json
import pathlib
import shutil
import subprocess
import unicodedata

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import OutputError
from keras_bert.export import export, tflite
from keras_bert.files.manifest import sha256_of

TEMPLATES = pathlib.Path(tflite.__file__).with_name("edge")


@pytest.fixture
def quick(monkeypatch, no_process):
    """The conversion itself is tested elsewhere."""
    found = {"ops": {"ADD": 3}, "weights_bytes": 4, "min_runtime_version": "2.17.0"}
    monkeypatch.setattr(tflite, "convert", lambda *args: b"a model")
    monkeypatch.setattr(tflite, "contents", lambda *args: found)


def test_the_vectors_lead_from_text_to_ids_to_answer(bert, tmp_path, quick):
    report = export(bert, tmp_path / "film.tflite", format="tflite", length=[16, 8])
    folder = tmp_path / "film.edge"
    assert report["hand_over"] == str(folder)
    document = json.loads((folder / "test_vectors.json").read_text(encoding="utf-8"))
    assert document["model_sha256"] == sha256_of(tmp_path / "film.tflite")
    tokenizer = kb.Tokenizer(folder / "vocab.txt")
    assert {vector["signature"] for vector in document["vectors"]} == {"serving_default", "length_8"}
    for vector in document["vectors"]:
        length = report["lengths"][vector["signature"]]
        texts = vector["texts"]
        encoded = tokenizer.encode(texts["text"], texts.get("text_pair"), max_length=length)
        padding = [0] * (length - len(encoded.token_ids))
        assert vector["inputs"]["token_ids"] == [*encoded.token_ids, *padding]
        assert vector["inputs"]["segment_ids"] == [*encoded.segment_ids, *padding]
        assert abs(sum(vector["outputs"]["scores"]) - 1) < 1e-5
    assert json.loads((folder / "labels.json").read_text()) == ["negative", "positive", "neither"]


def test_the_page_says_what_to_type_and_what_it_costs(bert, tmp_path, quick):
    export(bert, tmp_path / "film.tflite", format="tflite", length=[16, 8])
    page = (tmp_path / "film.edge" / "README.md").read_text(encoding="utf-8")
    for said in (
        "length = 8", '"length_8"', "`serving_default` 16", "FloatBuffer.allocate(3)", "TFLite 2.17.0", "ADD",
        "negative, positive, neither", "lowercase: true", "| first answer | 1.0 ms |",
    ):  # fmt: skip
        assert said in page, said
    assert "{" not in page.replace("{{", "").split("## Testing")[1]
    names = {file.name for file in (tmp_path / "film.edge").iterdir()}
    assert {file.name for file in TEMPLATES.iterdir()} < names


def test_an_old_hand_over_is_replaced_and_anothers_folder_is_not(bert, tmp_path, quick):
    export(bert, tmp_path / "film.tflite", format="tflite", length=16)
    (tmp_path / "film.edge" / "old").touch()
    export(bert, tmp_path / "film.tflite", format="tflite", length=16)
    assert not (tmp_path / "film.edge" / "old").exists()
    (tmp_path / "other.edge").mkdir()
    (tmp_path / "other.edge" / "mine.txt").touch()
    with pytest.raises(OutputError, match="other.edge"):
        export(bert, tmp_path / "other.tflite", format="tflite", length=16)
    assert not (tmp_path / "other.tflite").exists()


PROGRAM = """
import fs from "fs";
const { BertTokenizer } = await import(process.argv[2]);
const { pieces, lowercase, cases, length } = JSON.parse(fs.readFileSync(0, "utf8"));
const tokenizer = new BertTokenizer(pieces, { lowercase });
const answers = cases.map(([text, pair]) => tokenizer.encode(text, { pair: pair ?? undefined, length }));
process.stdout.write(JSON.stringify(answers.map((one) => Object.fromEntries(
  Object.entries(one).map(([name, values]) => [name, [...values]])))));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here to run the tokeniser of browsers with")
@pytest.mark.parametrize("lowercase", [True, False])
def test_the_tokeniser_of_browsers_gives_our_ids_and_offsets(bert, tmp_path, lowercase):
    tokenizer = kb.Tokenizer(bert.tokenizer.vocabulary, lowercase=lowercase)
    # Every fifth code point that Unicode 13 to 16 agree on, and what is hard about words.
    assigned = [c for c in range(0, 0x30000, 5) if unicodedata.category(chr(c)) not in ("Cs", "Cn")]
    strange = [
        "ΑΣ ΟΔΥΣΣΕΎΣ Σ",
        "İı é e\u0301 ﬁ ①",
        "a\u2028b\x85c",
        "zz" * 100,
        "z" * 201,
        "",
        "我a我。",
        "x[SEP]y",
    ]
    cases = [[f"ab{chr(c)}c {chr(c)}", None] for c in assigned] + [[text, None] for text in strange]
    cases += [[text, other] for text in strange for other in ("", "film b", "a b c d e f g h i j k l m")]
    given = {"pieces": tokenizer.vocabulary.pieces, "lowercase": lowercase, "cases": cases, "length": 16}
    (tmp_path / "run.mjs").write_text(PROGRAM)
    done = subprocess.run(
        ["node", tmp_path / "run.mjs", (TEMPLATES / "bert_tokenizer.mjs").as_uri()],
        input=json.dumps(given), capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    wrong = []
    for (text, pair), answer in zip(cases, json.loads(done.stdout), strict=True):
        encoded = tokenizer.encode(text, pair, max_length=16)
        count = len(encoded.token_ids)
        segments = encoded.segment_ids
        places = [
            [len((pair if segment else text)[:place].encode("utf-16-le")) // 2 for place in span]
            for span, segment in zip(encoded.offsets, segments, strict=True)
        ]
        ours = [encoded.token_ids, segments, [1] * count, [s for s, _ in places], [e for _, e in places]]
        theirs = [answer[n] for n in ("token_ids", "segment_ids", "padding_mask", "starts", "ends")]
        if not np.array_equal([[*row, *[0] * (16 - count)] for row in ours], theirs):
            wrong.append(text)
    # A code point or two that Python 3.11's Unicode 14 has as another kind than node's.
    assert len(wrong) <= 3, wrong
