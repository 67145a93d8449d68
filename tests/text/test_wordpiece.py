"""WordPiece: greedy, longest first, all or nothing."""

from keras_bert.text.wordpiece import WordPiece

PIECES = ["[UNK]", "un", "##aff", "##able", "##a", "u", "##n", "a", "##b", "aa"]
WORDPIECE = WordPiece({piece: index for index, piece in enumerate(PIECES)}, unk_id=0)


def cut(word):
    return [PIECES[index] for index, _, _ in WORDPIECE.cut(word)]


def test_longest_piece_comes_first():
    assert cut("unaffable") == ["un", "##aff", "##able"]
    assert cut("aab") == ["aa", "##b"]


def test_pieces_say_where_they_are_in_the_word():
    assert [(start, end) for _, start, end in WORDPIECE.cut("unaffable")] == [(0, 2), (2, 5), (5, 9)]


def test_word_with_one_unknown_letter_is_unknown_as_a_whole():
    assert WORDPIECE.cut("unaffablex") == [(0, 0, 10)]


def test_greedy_cutting_does_not_go_back():
    # "un" + "##a" leaves "ff"; "##aff" would have fitted only "unaff...".
    assert cut("unaf") == ["[UNK]"]


def test_word_of_200_characters_is_cut_and_one_of_201_is_not():
    assert cut("a" * 200) == ["aa", *["##a"] * 198]
    assert WORDPIECE.cut("a" * 201) == [(0, 0, 201)]
