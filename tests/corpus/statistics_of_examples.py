"""A million examples against the law: pairs, masks, positions, lengths; the table for BUILD_NOTES.

python tests/corpus/statistics_of_examples.py CORPUS_FOLDER [--examples=1000000] [--whole_word]
"""

import argparse

import numpy as np

from keras_bert.corpus.masking import Masker, Masking
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.text.tokenizer import Tokenizer


def chi_square(observed, expected):
    """(chi-square, degrees of freedom, standardised: about N(0, 1) if the law holds)."""
    observed, expected = np.asarray(observed, float), np.asarray(expected, float)
    value, freedom = ((observed - expected) ** 2 / expected).sum(), len(observed) - 1
    # Wilson and Hilferty 1931: the cube root is nearly normal.
    z = ((value / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    return value, freedom, z


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--whole_word", action="store_true")
    options = parser.parse_args()
    records, tokenizer = PretrainingRecords(options.folder), Tokenizer.from_folder(options.folder)
    vocabulary, masking = tokenizer.vocabulary, Masking(whole_word=options.whole_word)
    masker = Masker(vocabulary, masking, 0)
    kinds, wanted, count, epoch = np.zeros(3), 0, 0, 0
    random_ids = np.zeros(len(vocabulary))
    chosen_at, can_be, lengths = np.zeros(128), np.zeros(128), np.zeros(9)
    random_next = specials = exact = 0
    special_ids = [vocabulary.cls_id, vocabulary.sep_id, vocabulary.pad_id]
    while count < options.examples:
        for batch in records.batches(1024, masker=masker, epoch=epoch, max_length=128, drop_remainder=False):
            used = batch["mask_weights"] > 0
            rows, slots = np.nonzero(used)
            positions, ids = batch["mask_positions"][rows, slots], batch["mask_ids"][rows, slots]
            now, length = batch["token_ids"][rows, positions], batch["padding_mask"].sum(axis=1)
            is_mask, is_same = now == vocabulary.id("[MASK]"), now == ids
            kinds += [is_mask.sum(), is_same.sum(), (~is_mask & ~is_same).sum()]
            np.add.at(random_ids, now[~is_mask & ~is_same], 1)
            specials += np.isin(ids, special_ids).sum()
            expected = np.clip(np.rint(length * 0.15), 1, 20)
            wanted += expected.sum()
            exact += (used.sum(axis=1) == expected).sum()
            full = length == 128
            np.add.at(chosen_at, positions[full[rows]], 1)
            separators = 127 - batch["segment_ids"][full].sum(axis=1)  # the [SEP] after A
            can_be += full.sum()
            np.add.at(can_be, separators, -1)
            np.add.at(lengths, length // 16, 1)
            random_next += (batch["next_sentence_label"] == 1).sum()
            count += len(length)
        epoch += 1
    total = kinds.sum()
    print(f"{count:,} examples, {epoch} epochs; {total:,.0f} chosen pieces, {total / wanted:.4%} of the law")
    print(f"examples with exactly the number to predict: {exact / count:.4%}")
    print(f"special tokens chosen: {specials}")
    v = len(vocabulary)
    # A random piece is the piece itself, or [MASK], once in V.
    law = np.array([0.8 + 0.1 / v, 0.1 + 0.1 / v, 0.1 - 0.2 / v]) * total
    value, freedom, z = chi_square(kinds, law)
    shares = ", ".join(f"{kind / total:.4%}" for kind in kinds)
    print(f"[MASK], kept, random: {shares}; chi-square {value:.1f} of {freedom}, z {z:+.2f}")
    several = np.delete(random_ids, [vocabulary.id("[MASK]")])
    value, freedom, z = chi_square(several, np.full(len(several), several.sum() / len(several)))
    print(f"random pieces over the vocabulary: chi-square {value:.0f} of {freedom}, z {z:+.2f}")
    inner = slice(1, 127)
    law = can_be[inner] * chosen_at[inner].sum() / can_be[inner].sum()
    # Of an example's 125 places 19 are drawn without putting back, which makes the counts vary less.
    value, freedom, z = chi_square(chosen_at[inner], law)
    value /= 1 - 19 / 125
    z = ((value / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5
    print(f"places in full rows, without the [SEP]s: chi-square {value:.0f} of {freedom}, z {z:+.2f}")
    print(f"at the outer [CLS] and [SEP] of full rows: {chosen_at[[0, 127]].sum():.0f}")
    print(f"random next: {random_next / count:.4%}")
    bins = ", ".join(f"{16 * i}+: {share / count:.2%}" for i, share in enumerate(lengths) if share)
    print(f"lengths: {bins}")


if __name__ == "__main__":
    main()
