"""Chinese whole-word masking from text to batch."""

from keras_bert.corpus.build import build_corpus
from keras_bert.corpus.chinese_words import word_cutter
from keras_bert.corpus.masking import Masker
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.settings import CorpusSettings
from keras_bert.text.tokenizer import Tokenizer

TEXT = "我是程序员。\n北京大学的大学生。\n他在北京。\n\n程序员在北京大学。\n我是大学生。\n"


def test_chinese_words_are_masked_as_wholes(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("程序员 50\n程序 20\n北京 100\n大学\n北京大学 30\n大学生 30\n", encoding="utf-8")
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    characters = sorted(set(TEXT) - {"\n"})
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters])
    settings = CorpusSettings(
        max_seq_length=40,
        do_whole_word_mask=True,
        chinese_words=str(words),
        masked_lm_prob=0.3,
        dupe_factor=20,
    )
    build_corpus(tmp_path / "text.txt", tmp_path / "out", tokenizer, settings, num_workers=1)
    records = PretrainingRecords(tmp_path / "out")
    masker, cutter, num_words = Masker(records.vocabulary, records.masks, 0), word_cutter(str(words)), 0
    for epoch in range(3):
        for batch in records.batches(8, masker=masker, epoch=epoch, drop_remainder=False):
            for row, weights in enumerate(batch["mask_weights"] > 0):
                chosen = batch["mask_positions"][row][weights]
                ids = batch["token_ids"][row].copy()
                ids[chosen] = batch["mask_ids"][row][weights]
                whole = "".join(records.vocabulary.pieces[i] if i > 4 else "|" for i in ids.tolist())
                for start, end in cutter(whole):
                    inside = [place in chosen for place in range(start, end)]
                    # Trimming may have cut a word: what is left of it is no word of the list.
                    assert all(inside) or not any(inside), (whole, chosen)
                    num_words += all(inside)
    assert num_words > 50
