// Text to the ids of a BERT, as Google's tokenization.py and keras_bert do it.
//
//   let lines = try String(contentsOf: vocabURL, encoding: .utf8).components(separatedBy: "\n")
//   let tokenizer = BertTokenizer(pieces: lines, lowercase: true)
//   let encoded = tokenizer.encode("a warm film", length: 128)

import Foundation

/// A BERT's input, each array of the signature's length; places count Unicode scalars, 0 for special tokens.
public struct Encoded {
    public var tokenIds: [Int32], segmentIds: [Int32], paddingMask: [Int32], starts: [Int], ends: [Int]
}

public struct BertTokenizer {
    /// A piece of a text and where it stands.
    public struct Piece { public let id: Int32, start: Int, end: Int }
    private struct Letter { let scalar: Unicode.Scalar, start: Int; var end: Int }

    private static let maxWordLength = 200
    // By their scalars: two strings are equal in Swift where they only look alike.
    private let ids: [[Unicode.Scalar]: Int32]
    private let lowercase: Bool

    /// - Parameters:
    ///   - pieces: The lines of vocab.txt; a piece's place is its id.
    ///   - lowercase: As in tokenizer_config.json (do_lower_case).
    public init(pieces: [String], lowercase: Bool = true) {
        let named = pieces.enumerated().filter { !$0.element.isEmpty }.map {
            (Array($0.element.unicodeScalars), Int32($0.offset))
        }
        ids = Dictionary(named, uniquingKeysWith: { first, _ in first })
        self.lowercase = lowercase
    }

    /// [CLS] A [SEP] B [SEP], truncated and padded to `length`.
    public func encode(_ text: String, pair: String? = nil, length: Int) -> Encoded {
        var parts = [text, pair].compactMap { $0 }.map(tokenize)
        let room = length - 1 - parts.count
        while parts.reduce(0, { $0 + $1.count }) > room {
            let longer = parts.count == 2 && parts[0].count <= parts[1].count ? 1 : 0
            parts[longer].removeLast()
        }
        let zeros = [Int32](repeating: 0, count: length), places = [Int](repeating: 0, count: length)
        var result = Encoded(
            tokenIds: [Int32](repeating: id("[PAD]"), count: length), segmentIds: zeros, paddingMask: zeros,
            starts: places, ends: places)
        var place = 0
        func put(_ piece: Piece, _ segment: Int) {
            result.tokenIds[place] = piece.id
            result.segmentIds[place] = Int32(segment)
            result.paddingMask[place] = 1
            result.starts[place] = piece.start
            result.ends[place] = piece.end
            place += 1
        }
        put(Piece(id: id("[CLS]"), start: 0, end: 0), 0)
        for (segment, part) in parts.enumerated() {
            for piece in part { put(piece, segment) }
            put(Piece(id: id("[SEP]"), start: 0, end: 0), segment)
        }
        return result
    }

    /// The pieces of a text.
    public func tokenize(_ text: String) -> [Piece] {
        var words: [[Letter]] = [[]]
        for letter in letters(text) {
            let alone = Self.isPunctuation(letter.scalar) || Self.isIdeograph(letter.scalar)
            if alone || letter.scalar == " " { words.append([]) }
            if letter.scalar != " " { words[words.count - 1].append(letter) }
            if alone { words.append([]) }
        }
        return words.filter { !$0.isEmpty }.flatMap(pieces)
    }

    /// The scalars that are read, spelt as the vocabulary has them.
    private func letters(_ text: String) -> [Letter] {
        var kept: [Letter] = []
        for (place, scalar) in text.unicodeScalars.enumerated() {
            if Self.isBlank(scalar) {
                kept.append(Letter(scalar: " ", start: place, end: place + 1))
            } else if !Self.isDropped(scalar) {
                kept.append(Letter(scalar: scalar, start: place, end: place + 1))
            }
        }
        if !lowercase { return kept }
        var letters: [Letter] = []
        for (i, letter) in kept.enumerated() {
            let isFinal = letter.scalar == "Σ" && Self.isFinalSigma(kept, i)
            let spelt = isFinal ? "ς" : letter.scalar.properties.lowercaseMapping
            let left = spelt.decomposedStringWithCanonicalMapping.unicodeScalars
                .filter { $0.properties.generalCategory != .nonspacingMark }
            letters += left.map { Letter(scalar: $0, start: letter.start, end: letter.end) }
            // An accent that is dropped belongs to the letter before it.
            if left.isEmpty, !letters.isEmpty { letters[letters.count - 1].end = letter.end }
        }
        return letters
    }

    /// Greedily the longest pieces; the whole word is [UNK] where that fails.
    private func pieces(_ word: [Letter]) -> [Piece] {
        let unknown = [Piece(id: id("[UNK]"), start: word.first!.start, end: word.last!.end)]
        if word.count > Self.maxWordLength { return unknown }
        var found: [Piece] = []
        var from = 0
        while from < word.count {
            var to = word.count
            while to > from, ids[spelling(word, from, to)] == nil { to -= 1 }
            if to == from { return unknown }
            found.append(Piece(id: ids[spelling(word, from, to)]!, start: word[from].start, end: word[to - 1].end))
            from = to
        }
        return found
    }

    private func spelling(_ word: [Letter], _ from: Int, _ to: Int) -> [Unicode.Scalar] {
        (from > 0 ? ["#", "#"] : []) + word[from..<to].map { $0.scalar }
    }

    private func id(_ special: String) -> Int32 { ids[Array(special.unicodeScalars)]! }

    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        [9, 10, 13, 32, 0x2028, 0x2029].contains(scalar.value) || scalar.properties.generalCategory == .spaceSeparator
    }

    private static func isDropped(_ scalar: Unicode.Scalar) -> Bool {
        let category = scalar.properties.generalCategory
        return scalar.value == 0 || scalar.value == 0xFFFD || category == .control || category == .format
    }

    private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 33...47, 58...64, 91...96, 123...126: return true
        default: break
        }
        switch scalar.properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
             .initialPunctuation, .finalPunctuation, .otherPunctuation: return true
        default: return false
        }
    }

    private static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
             0x2B820...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F: return true
        default: return false
        }
    }

    /// Whether a capital sigma ends its word, where it is spelt otherwise.
    private static func isFinalSigma(_ letters: [Letter], _ i: Int) -> Bool {
        func isCased(_ step: Int) -> Bool {
            var place = i + step
            while letters.indices.contains(place), letters[place].scalar.properties.isCaseIgnorable { place += step }
            return letters.indices.contains(place) && letters[place].scalar.properties.isCased
        }
        return isCased(-1) && !isCased(1)
    }
}
