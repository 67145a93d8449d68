// Text to the ids of a BERT, as Google's tokenization.py and keras_bert do it.
//
//   const tokenizer = new BertTokenizer(vocabText.split(/\r?\n/), { lowercase: true });
//   const { token_ids, segment_ids, padding_mask } = tokenizer.encode("a warm film", { length: 128 });

const MAX_WORD_LENGTH = 200;
const BLANK = /^[\t\n\r \u2028\u2029\p{Zs}]$/u;
const DROPPED = /^[\0\uFFFD\p{Cc}\p{Cf}]$/u;
const PUNCTUATION = /^[!-/:-@[-`{-~\p{P}]$/u;
const IDEOGRAPH =
  /^[\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B820}-\u{2CEAF}\u{2F800}-\u{2FA1F}]$/u;

export class BertTokenizer {
  /**
   * @param {string[]} pieces The lines of vocab.txt; a piece's place is its id.
   * @param {{lowercase?: boolean}} options As in tokenizer_config.json (do_lower_case).
   */
  constructor(pieces, { lowercase = true } = {}) {
    this.ids = new Map(pieces.map((piece, id) => [piece, id]).filter(([piece]) => piece));
    this.lowercase = lowercase;
  }

  /**
   * [CLS] A [SEP] B [SEP], truncated and padded to `length`.
   * @param {string} text
   * @param {{pair?: string, length: number}} options `length` is that of the signature.
   * @returns Int32Arrays token_ids, segment_ids, padding_mask; starts, ends: where each piece stands in its
   *   text, in UTF-16 code units; 0 for special tokens.
   */
  encode(text, { pair, length }) {
    const parts = [text, ...(pair === undefined ? [] : [pair])].map((part) => this.tokenize(part));
    const room = length - 1 - parts.length;
    while (parts.reduce((sum, part) => sum + part.length, 0) > room) {
      (parts.length === 2 && parts[0].length <= parts[1].length ? parts[1] : parts[0]).pop();
    }
    const names = ["token_ids", "segment_ids", "padding_mask", "starts", "ends"];
    const result = Object.fromEntries(names.map((name) => [name, new Int32Array(length)]));
    result.token_ids.fill(this.ids.get("[PAD]"));
    let place = 0;
    const put = (id, segment, start = 0, end = 0) => {
      [id, segment, 1, start, end].forEach((value, i) => { result[names[i]][place] = value; });
      place += 1;
    };
    put(this.ids.get("[CLS]"), 0);
    parts.forEach((part, segment) => {
      part.forEach(({ id, start, end }) => put(id, segment, start, end));
      put(this.ids.get("[SEP]"), segment);
    });
    return result;
  }

  /** The pieces of a text: a list of {id, start, end}. */
  tokenize(text) {
    const words = [[]]; // lists of {letter, start, end}
    for (const character of this.#characters(text)) {
      const alone = PUNCTUATION.test(character.letter) || IDEOGRAPH.test(character.letter);
      if (alone || character.letter === " ") words.push([]);
      if (character.letter !== " ") words.at(-1).push(character);
      if (alone) words.push([]);
    }
    return words.filter((word) => word.length).flatMap((word) => this.#pieces(word));
  }

  /** The code points that are read, spelt as the vocabulary has them; a blank is " ". */
  #characters(text) {
    const kept = [];
    let start = 0;
    for (const letter of text.toWellFormed ? text.toWellFormed() : text) {
      const end = start + letter.length;
      if (BLANK.test(letter)) kept.push({ letter: " ", start, end });
      else if (!DROPPED.test(letter)) kept.push({ letter, start, end });
      start = end;
    }
    if (!this.lowercase) return kept;
    const letters = [];
    kept.forEach(({ letter, start, end }, i) => {
      const spelt = letter === "Σ" && isFinalSigma(kept, i) ? "ς" : letter.toLowerCase();
      const left = [...spelt.normalize("NFD")].filter((one) => !/^\p{Mn}$/u.test(one));
      left.forEach((one) => letters.push({ letter: one, start, end }));
      // An accent that is dropped belongs to the letter before it.
      if (!left.length && letters.length) letters.at(-1).end = end;
    });
    return letters;
  }

  /** Greedily the longest pieces; the whole word is [UNK] where that fails. */
  #pieces(word) {
    const unknown = [{ id: this.ids.get("[UNK]"), start: word[0].start, end: word.at(-1).end }];
    if (word.length > MAX_WORD_LENGTH) return unknown;
    const found = [];
    for (let from = 0; from < word.length; ) {
      let to = word.length;
      let id;
      for (; to > from; to -= 1) {
        const piece = word.slice(from, to).map(({ letter }) => letter).join("");
        id = this.ids.get(from ? `##${piece}` : piece);
        if (id !== undefined) break;
      }
      if (id === undefined) return unknown;
      found.push({ id, start: word[from].start, end: word[to - 1].end });
      from = to;
    }
    return found;
  }
}

/** Whether a capital sigma ends its word, where it is spelt otherwise. */
function isFinalSigma(characters, i) {
  const ignorable = /^[\p{Mn}\p{Me}\p{Lm}\p{Sk}'.:·’]$/u;
  const cased = /^[\p{Lu}\p{Ll}\p{Lt}]$/u;
  const neighbour = (step) => {
    let place = i + step;
    while (characters[place] && ignorable.test(characters[place].letter)) place += step;
    return characters[place] !== undefined && cased.test(characters[place].letter);
  };
  return neighbour(-1) && !neighbour(1);
}
