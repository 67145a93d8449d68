"""The tokenisers of the hand-over to applications against ours, on every code point.

    python tests/benchmarks/edge_tokenizers.py --model_dir=FOLDER [--kotlinc=kotlinc]

Each code point stands within a word and alone, beside 5,000 random texts of what is hard; with lower-casing
and without. Needs node; with --kotlinc (npm's package kotlin-compiler has one) also Kotlin and a Java. Swift
is not run. Printed are the texts whose ids or places differ, by the general category of the code point.
"""

import argparse
import collections
import json
import pathlib
import random
import subprocess
import tempfile
import unicodedata

import keras_bert as kb
from keras_bert.export import tflite

TEMPLATES = pathlib.Path(tflite.__file__).with_name("edge")
POOL = "aBcΣσς İıÉé.,'’:·-我Ａ１①\u0301\u200b\u00ad ΑΣΣ ﬁ가각"
JAVASCRIPT = """
import fs from "fs";
const [module, vocabulary, cases, lowercase] = process.argv.slice(2);
const { BertTokenizer } = await import(module);
const pieces = fs.readFileSync(vocabulary, "utf8").split("\\n");
const tokenizer = new BertTokenizer(pieces, { lowercase: lowercase === "true" });
for (const text of JSON.parse(fs.readFileSync(cases, "utf8")))
  console.log(tokenizer.tokenize(text).map(({ id, start, end }) => `${id},${start},${end}`).join(" "));
"""
KOTLIN = """
import java.io.File
fun main(args: Array<String>) {
    val tokenizer = BertTokenizer(File(args[0]).readLines(), args[2] == "true")
    val lines = StringBuilder()
    for (line in File(args[1]).readLines()) {
        val codes = line.split(" ").filter { it.isNotEmpty() }
        val text = codes.joinToString("") { String(Character.toChars(it.toInt(16))) }
        val pieces = tokenizer.tokenize(text)
        lines.append(pieces.joinToString(" ") { "${it.id},${it.start},${it.end}" }).append("\\n")
    }
    print(lines)
}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_dir", required=True, type=pathlib.Path)
    parser.add_argument("--kotlinc")
    given = parser.parse_args()
    vocabulary = given.model_dir / "vocab.txt"
    rng = random.Random(0)
    cases = [f"ab{chr(c)}cd {chr(c)}" for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    cases += ["".join(rng.choice(POOL) for _ in range(rng.randint(1, 25))) for _ in range(5000)]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "cases.json").write_text(json.dumps(cases))
        hexadecimal = (" ".join(f"{ord(letter):x}" for letter in text) for text in cases)
        (folder / "cases.txt").write_text("\n".join(hexadecimal) + "\n")
        commands = programs(folder, vocabulary, given.kotlinc)
        for lowercase in (True, False):
            expected = [places(kb.Tokenizer(vocabulary, lowercase=lowercase), text) for text in cases]
            for name, command in commands.items():
                done = subprocess.run(
                    [*command, str(lowercase).lower()], check=True, capture_output=True, text=True
                )
                print(
                    name, f"lowercase={lowercase}", differing(cases, expected, done.stdout.split("\n")[:-1])
                )


def programs(folder, vocabulary, kotlinc) -> dict:
    """The command of each tokeniser, but for whether it lower-cases."""
    (folder / "run.mjs").write_text(JAVASCRIPT)
    module = (TEMPLATES / "bert_tokenizer.mjs").as_uri()
    commands = {"JavaScript": ["node", folder / "run.mjs", module, vocabulary, folder / "cases.json"]}
    if kotlinc:
        (folder / "Main.kt").write_text(KOTLIN)
        sources = [TEMPLATES / "BertTokenizer.kt", folder / "Main.kt"]
        jar = folder / "run.jar"
        subprocess.run([kotlinc, *sources, "-include-runtime", "-d", jar], check=True)
        commands["Kotlin"] = ["java", "-Dfile.encoding=UTF-8", "-jar", jar, vocabulary, folder / "cases.txt"]
    return commands


def places(tokenizer, text):
    """Ids, and where each stands in UTF-16 code units, as the programs print them."""
    encoded = tokenizer.encode(text, special_tokens=False)
    spans = [[len(text[:i].encode("utf-16-le")) // 2 for i in span] for span in encoded.offsets]
    return " ".join(f"{i},{start},{end}" for i, (start, end) in zip(encoded.token_ids, spans, strict=True))


def differing(cases, expected, given) -> dict:
    counts = collections.Counter()
    for text, ours, theirs in zip(cases, expected, given, strict=True):
        if ours != theirs:
            same_ids = [p.split(",")[0] for p in ours.split()] == [p.split(",")[0] for p in theirs.split()]
            is_one = text.startswith("ab") and text[3:6] == "cd "
            counts["places" if same_ids else unicodedata.category(text[2]) if is_one else "random"] += 1
    return dict(counts)


if __name__ == "__main__":
    main()
