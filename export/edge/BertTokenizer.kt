// Text to the ids of a BERT, as Google's tokenization.py and keras_bert do it.
//
//   val tokenizer = BertTokenizer(context.assets.open("vocab.txt").reader().readLines(), lowercase = true)
//   val encoded = tokenizer.encode("a warm film", length = 128)

import java.text.Normalizer

/** A BERT's input, each array of the signature's length; places count UTF-16 code units, 0 for special tokens. */
class Encoded(length: Int, pad: Int) {
    val tokenIds = IntArray(length) { pad }
    val segmentIds = IntArray(length)
    val paddingMask = IntArray(length)
    val starts = IntArray(length)
    val ends = IntArray(length)
}

/** A piece of a text and where it stands. */
class Piece(val id: Int, val start: Int, val end: Int)

/**
 * @param pieces The lines of vocab.txt; a piece's place is its id.
 * @param lowercase As in tokenizer_config.json (do_lower_case).
 */
class BertTokenizer(pieces: List<String>, private val lowercase: Boolean = true) {
    private class Letter(val code: Int, val start: Int, var end: Int)

    private val ids = pieces.withIndex().filter { it.value.isNotEmpty() }.associate { it.value to it.index }

    /** [CLS] A [SEP] B [SEP], truncated and padded to `length`. */
    fun encode(text: String, pair: String? = null, length: Int): Encoded {
        val parts = listOfNotNull(text, pair).map { tokenize(it).toMutableList() }
        val room = length - 1 - parts.size
        while (parts.sumOf { it.size } > room) {
            val longer = if (parts.size == 2 && parts[0].size <= parts[1].size) parts[1] else parts[0]
            longer.removeAt(longer.size - 1)
        }
        val result = Encoded(length, ids.getValue("[PAD]"))
        var place = 0
        fun put(id: Int, segment: Int, start: Int = 0, end: Int = 0) {
            result.tokenIds[place] = id
            result.segmentIds[place] = segment
            result.paddingMask[place] = 1
            result.starts[place] = start
            result.ends[place] = end
            place += 1
        }
        put(ids.getValue("[CLS]"), 0)
        for ((segment, part) in parts.withIndex()) {
            for (piece in part) put(piece.id, segment, piece.start, piece.end)
            put(ids.getValue("[SEP]"), segment)
        }
        return result
    }

    /** The pieces of a text. */
    fun tokenize(text: String): List<Piece> {
        val words = mutableListOf(mutableListOf<Letter>())
        for (letter in letters(text)) {
            val alone = isPunctuation(letter.code) || isIdeograph(letter.code)
            if (alone || letter.code == BLANK) words.add(mutableListOf())
            if (letter.code != BLANK) words.last().add(letter)
            if (alone) words.add(mutableListOf())
        }
        return words.filter { it.isNotEmpty() }.flatMap { piecesOf(it) }
    }

    /** The code points that are read, spelt as the vocabulary has them. */
    private fun letters(text: String): List<Letter> {
        val kept = mutableListOf<Letter>()
        var start = 0
        while (start < text.length) {
            val code = text.codePointAt(start)
            val end = start + Character.charCount(code)
            if (isBlank(code)) kept.add(Letter(BLANK, start, end))
            else if (!isDropped(code)) kept.add(Letter(code, start, end))
            start = end
        }
        if (!lowercase) return kept
        val letters = mutableListOf<Letter>()
        for ((i, letter) in kept.withIndex()) {
            val written = String(Character.toChars(letter.code))
            val spelt = if (written == "Σ" && isFinalSigma(kept, i)) "ς" else written.lowercase(java.util.Locale.ROOT)
            val left = Normalizer.normalize(spelt, Normalizer.Form.NFD).codePoints().toArray()
                .filter { Character.getType(it) != Character.NON_SPACING_MARK.toInt() }
            left.forEach { letters.add(Letter(it, letter.start, letter.end)) }
            // An accent that is dropped belongs to the letter before it.
            if (left.isEmpty() && letters.isNotEmpty()) letters.last().end = letter.end
        }
        return letters
    }

    /** Greedily the longest pieces; the whole word is [UNK] where that fails. */
    private fun piecesOf(word: List<Letter>): List<Piece> {
        val unknown = listOf(Piece(ids.getValue("[UNK]"), word.first().start, word.last().end))
        if (word.size > MAX_WORD_LENGTH) return unknown
        val found = mutableListOf<Piece>()
        var from = 0
        while (from < word.size) {
            val to = (word.size downTo from + 1).firstOrNull { spelling(word, from, it) in ids } ?: return unknown
            found.add(Piece(ids.getValue(spelling(word, from, to)), word[from].start, word[to - 1].end))
            from = to
        }
        return found
    }

    private fun spelling(word: List<Letter>, from: Int, to: Int): String {
        val piece = StringBuilder(if (from > 0) "##" else "")
        for (i in from until to) piece.appendCodePoint(word[i].code)
        return piece.toString()
    }

    private companion object {
        const val MAX_WORD_LENGTH = 200
        const val BLANK = ' '.code

        fun isBlank(code: Int) =
            code in intArrayOf(9, 10, 13, 32, 0x2028, 0x2029) || Character.getType(code) == Character.SPACE_SEPARATOR.toInt()

        fun isDropped(code: Int) = code == 0 || code == 0xFFFD ||
            Character.getType(code) in intArrayOf(
                Character.CONTROL.toInt(), Character.FORMAT.toInt(), Character.SURROGATE.toInt())

        fun isPunctuation(code: Int) =
            code in 33..47 || code in 58..64 || code in 91..96 || code in 123..126 ||
                Character.getType(code) in intArrayOf(
                    Character.CONNECTOR_PUNCTUATION.toInt(), Character.DASH_PUNCTUATION.toInt(),
                    Character.START_PUNCTUATION.toInt(), Character.END_PUNCTUATION.toInt(),
                    Character.INITIAL_QUOTE_PUNCTUATION.toInt(), Character.FINAL_QUOTE_PUNCTUATION.toInt(),
                    Character.OTHER_PUNCTUATION.toInt())

        fun isIdeograph(code: Int) =
            code in 0x4E00..0x9FFF || code in 0x3400..0x4DBF || code in 0x20000..0x2A6DF ||
                code in 0x2A700..0x2B73F || code in 0x2B740..0x2B81F || code in 0x2B820..0x2CEAF ||
                code in 0xF900..0xFAFF || code in 0x2F800..0x2FA1F

        /** Whether a capital sigma ends its word, where it is spelt otherwise. */
        fun isFinalSigma(letters: List<Letter>, i: Int): Boolean {
            val ignorable = intArrayOf(
                Character.NON_SPACING_MARK.toInt(), Character.ENCLOSING_MARK.toInt(),
                Character.MODIFIER_LETTER.toInt(), Character.MODIFIER_SYMBOL.toInt())
            fun isCased(step: Int): Boolean {
                var place = i + step
                while (place in letters.indices && (Character.getType(letters[place].code) in ignorable ||
                        "'.:·’".indexOf(letters[place].code.toChar()) >= 0)) place += step
                return place in letters.indices && (Character.isUpperCase(letters[place].code) ||
                    Character.isLowerCase(letters[place].code) || Character.isTitleCase(letters[place].code))
            }
            return isCased(-1) && !isCased(1)
        }
    }
}
