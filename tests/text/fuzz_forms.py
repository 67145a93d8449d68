"""Random hostile strings: the oracle, the Python form and the graph must agree, ids and offsets.

    python tests/text/fuzz_forms.py 1000000        # strings; about ten minutes on one core

Restartable: `fuzz_forms.py 1000000 --first 100` goes on at vocabulary 100. test_fuzz_forms.py runs a sample.
"""

import argparse
import random

import google_reference

from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.unicode_table import MARK, unicode_table
from keras_bert.text.vocabulary import MASK

STRINGS_PER_VOCABULARY = 4000
BATCH = 100
# Characters that know each other: sigmas and what decides about them, combining characters of every class,
# what is removed, what separates, what grows or shrinks.
SPECIAL = (
    "ΣΣΣσςAaΑαßİıſŉǅǰⅧªʰˈ·'’.:\u0345\u00ad\u200b\u200d\ufeff\u0000\u0007\ufffd\u0301\u0308\u0323\u05bf\u094d"
    "\u302e\u302f\u1b44\u1b36\u1baa\u0f71\u0f43\u0cca\u3099\ufe0fか가힣각ᄀ中文我豈\U0002f800\u0085\u00a0\u2028"
    "\u2029\u3000\u1680\t\n\r  \U0001d15e\U0001d165\U0001d166\U0001d16d\U0001d172😀‼«»—_-!#$[]^`{|}~，。！"
    "１ＡÅÅéÉñ\ue000\uffff\U0010ffff"
)
COMBINING = [chr(point) for point in unicode_table().combining]
SURVIVORS = [char for char in COMBINING if not unicode_table().flags[ord(char)] & MARK]


def random_char(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(SPECIAL)
    if kind < 0.65:
        return chr(rng.randrange(0x20, 0x7F))
    if kind < 0.75:
        return rng.choice(COMBINING if rng.random() < 0.5 else SURVIVORS)
    if kind < 0.9:
        return chr(rng.randrange(0x80, 0x3400))
    point = rng.randrange(0x110000)
    return "x" if 0xD800 <= point < 0xE000 else chr(point)


def random_text(rng: random.Random) -> str:
    length = rng.choice((0, 1, 2, 5, 10, 20, 40))
    text = "".join(random_char(rng) for _ in range(length))
    if rng.random() < 0.03:
        text += rng.choice("aéΣ中") * rng.randrange(195, 206)
    return text


def with_masks(rng: random.Random, text: str) -> str:
    """The text with a few special tokens, and some that are cut short, anywhere in it."""
    for _ in range(rng.choice((0, 0, 1, 2))):
        place = rng.randrange(len(text) + 1)
        text = text[:place] + rng.choice((MASK, MASK, MASK[:3], MASK[3:])) + text[place:]
    return text


def random_tokenizer(rng: random.Random, texts: list[str]) -> Tokenizer:
    """Options at random; pieces cut from the texts' own words, so that few words are [UNK]."""
    options = {
        "lowercase": rng.random() < 0.6,
        "strip_accents": rng.choice((None, None, True, False)),
        "split_chinese": rng.random() < 0.8,
    }
    pieces = {"[PAD]": 0, "[UNK]": 0, "[CLS]": 0, "[SEP]": 0, "[MASK]": 0}
    never_split = []
    for text in texts:
        for word in google_reference.words(text, **options):
            for char in word:
                if rng.random() < 0.97:
                    pieces[char] = pieces["##" + char] = 0
            start = rng.randrange(len(word))
            stretch = word[start : start + rng.randrange(1, 6)]
            pieces["##" + stretch if start else stretch] = 0
        if rng.random() < 0.005:
            never_split += google_reference.clean(text, options["split_chinese"]).split()[:3]
    # A word that starts with a mark or has more than 200 characters is refused.
    flags = unicode_table().flags
    kept = [word for word in never_split if not flags[ord(word[0])] & MARK and len(word) <= 200]
    never_split = kept if rng.random() < 0.3 else []
    for word in never_split:
        if rng.random() < 0.5 and len(word) < 60:
            pieces[word] = 0
    return Tokenizer(list(pieces), never_split=never_split, **options)


def disagreements(
    seed: int, num_strings: int = STRINGS_PER_VOCABULARY, with_oracle: bool = True
) -> list[str]:
    """One random vocabulary, many strings; a line for every difference."""
    import tensorflow as tf

    rng = random.Random(seed)
    texts = [random_text(rng) for _ in range(num_strings)]
    tokenizer = random_tokenizer(rng, texts)
    options = {
        name: getattr(tokenizer, name)
        for name in ("lowercase", "strip_accents", "split_chinese", "never_split")
    }
    allow_special = ["[MASK]"] if rng.random() < 0.3 else []
    if allow_special:
        texts = [with_masks(rng, text) for text in texts]
    in_graph = tf.function(
        tokenizer.in_graph(allow_special).tokenize_with_offsets,
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    found = []
    for begin in range(0, num_strings, BATCH):
        batch = texts[begin : begin + BATCH]
        rows = [ragged.to_list() for ragged in in_graph(tf.constant([text.encode() for text in batch]))]
        for text, ids, starts, ends in zip(batch, *rows, strict=True):
            python = tokenizer.encode(text, special_tokens=False, allow_special=allow_special)
            if python.token_ids != ids:
                found.append(f"seed {seed}, ids: {text!r} {options} python {python.token_ids} graph {ids}")
            elif python.offsets != list(zip(starts, ends, strict=True)):
                found.append(
                    f"seed {seed}, offsets: {text!r} {options} python {python.offsets} graph {starts} {ends}"
                )
            if with_oracle:
                stretches = text.split(MASK) if allow_special else [text]
                oracle = google_reference.tokenize(stretches[0], tokenizer.vocabulary, **options)
                for stretch in stretches[1:]:
                    oracle += [MASK, *google_reference.tokenize(stretch, tokenizer.vocabulary, **options)]
                if [tokenizer.vocabulary.id(piece) for piece in oracle] != python.token_ids:
                    pieces = tokenizer.tokenize(text)
                    found.append(f"seed {seed}, oracle: {text!r} {options} python {pieces} oracle {oracle}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("strings", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first vocabulary")
    arguments = parser.parse_args()
    last = arguments.strings // STRINGS_PER_VOCABULARY
    total = 0
    for seed in range(arguments.first, last):
        found = disagreements(seed, with_oracle=google_reference.knows_unicode_14)
        total += len(found)
        for line in found[:3]:
            print(line, flush=True)
        if (seed + 1) % 10 == 0 or seed + 1 == last:
            print(f"{(seed + 1) * STRINGS_PER_VOCABULARY} strings, {total} differences", flush=True)
