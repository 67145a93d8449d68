"""Pretraining records: against TensorFlow's protobufs and parser, there and back, unusual, and wrong."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.corpus import proto_columns
from keras_bert.corpus.example_proto import (
    decode_examples,
    decode_google,
    decode_masked,
    encode_examples,
    encode_google,
    encode_masked,
    kind_of,
)
from keras_bert.corpus.examples import NO_PAIR, Examples
from keras_bert.corpus.proto_wire import varint, varints
from keras_bert.errors import DataError

GOOGLE_NAMES = {
    "input_ids": "token_ids", "input_mask": "padding_mask", "segment_ids": "segment_ids",
    "masked_lm_positions": "mask_positions", "masked_lm_ids": "mask_ids", "masked_lm_weights": "mask_weights",
    "next_sentence_labels": "next_sentence_label",
}  # fmt: skip


def made(number=50, pairs=True, continues=False, largest=40_000, seed=0) -> Examples:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 130, number)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    token_ids = rng.integers(0, largest, starts[-1]).astype(np.int32)
    token_ids[rng.random(len(token_ids)) < 0.3] %= 128  # ids of one byte, of two and of three
    has_pair = pairs & (rng.random(number) < 0.8)
    return Examples(
        token_ids,
        starts,
        np.where(has_pair, rng.integers(0, lengths), lengths).astype(np.int32),
        np.where(has_pair, rng.integers(0, 2, number), NO_PAIR).astype(np.int8),
        rng.random(len(token_ids)) < 0.3 if continues else None,
    )


def masks_of(examples: Examples, slots=7) -> dict:
    rng = np.random.default_rng(1)
    used = np.minimum(rng.integers(0, slots + 1, len(examples)), examples.lengths)
    is_used = np.arange(slots) < used[:, None]
    positions = np.sort(rng.integers(0, np.maximum(examples.lengths, 1)[:, None], is_used.shape))
    return {
        **examples.padded(140),
        "mask_positions": np.where(is_used, positions, 0).astype(np.int32),
        "mask_ids": np.where(is_used, rng.integers(0, 30_000, is_used.shape), 0).astype(np.int32),
        "mask_weights": is_used.astype(np.float32),
    }


def joined(records):
    """(data, begins, ends), with something between the records."""
    data, begins = b"??", []
    for record in records:
        begins.append(len(data))
        data += record + b"\xff\x80!"
    begins = np.array(begins, np.int64)
    return data, begins, begins + [len(record) for record in records]


def back(records, decode=decode_examples, **options):
    return decode(*joined(records), "x.tfrecord", **options)


def assert_equal(found, expected):
    for name in ("token_ids", "starts", "b_starts", "next_sentence_label", "continues"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(one, other, err_msg=name)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None), name


def feature(values):
    if isinstance(values, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[values]))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def by_tensorflow(**features) -> bytes:
    found = {name: feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=found)).SerializeToString()


def field(number, wire_type, value: bytes) -> bytes:
    return varint(number << 3 | wire_type) + (varint(len(value)) if wire_type == 2 else b"") + value


def by_hand(entries, kind=3) -> bytes:
    """Entries of (name, the bytes of its list)."""
    features = b"".join(
        field(1, 2, field(1, 2, name.encode()) + field(2, 2, field(kind, 2, values)))
        for name, values in entries
    )
    return field(1, 2, features)


def refusal_of(act) -> str:
    with pytest.raises(DataError) as error:
        act()
    return str(error.value)


@pytest.fixture
def one_by_one(monkeypatch):
    """Counts the records that were read one by one."""
    parsed = []
    parse = proto_columns.parse_example
    monkeypatch.setattr(proto_columns, "parse_example", lambda *a: parsed.append(a[1]) or parse(*a))
    return parsed


# There and back


@pytest.mark.parametrize("continues", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_examples_come_back_as_they_were(pairs, continues, one_by_one):
    examples = made(3000, pairs, continues)
    assert_equal(back(encode_examples(examples)), examples)
    assert len(one_by_one) <= 2  # one for each layout: with and without a label


def test_ids_of_every_size_come_back():
    edges = [0, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21, 2**28 - 1, 2**28, 2**31 - 1]
    ids = np.array(edges, np.int32)
    examples = Examples(ids, np.array([0, 10]), np.array([10], np.int32), np.array([NO_PAIR], np.int8))
    assert_equal(back(encode_examples(examples)), examples)


def test_no_examples_make_no_records():
    empty = made(0)
    assert encode_examples(empty) == []
    assert len(back([])) == 0


def test_many_blocks_of_numbers_come_back(monkeypatch):
    monkeypatch.setattr("keras_bert.corpus.proto_wire._BLOCK", 50)
    examples = made(300, continues=True)
    assert_equal(back(encode_examples(examples)), examples)


@pytest.mark.parametrize("continues", [False, True])
def test_static_masks_come_back_with_their_examples(continues):
    examples = made(200, continues=continues)
    masked = masks_of(examples)
    masked["token_ids"] = np.where(masked["padding_mask"] > 0, masked["token_ids"] + 1, 0)
    found, slots = back(encode_masked(masked, examples), decode_masked, num_slots=7)
    assert_equal(found, Examples(examples.token_ids + 1, *list(vars(examples).values())[1:]))
    for name in ("mask_positions", "mask_ids", "mask_weights"):
        np.testing.assert_array_equal(slots[name], masked[name])
        assert slots[name].dtype == masked[name].dtype
    _, slots = back(encode_masked(masked, examples), decode_masked)
    assert slots["mask_ids"].shape == (200, int(masked["mask_weights"].sum(1).max()))
    assert_equal(back(encode_masked(masked, examples)), found)


def test_google_rows_come_back(one_by_one):
    examples = made(100)
    rows = {**masks_of(examples), "next_sentence_label": np.arange(100, dtype=np.int32) % 2}
    found = back(encode_google(rows), decode_google)
    assert found.keys() == rows.keys()
    for name in rows:
        np.testing.assert_array_equal(found[name], rows[name])
        assert found[name].dtype == rows[name].dtype, name
    assert len(one_by_one) == 1
    del rows["next_sentence_label"]
    assert "next_sentence_label" not in back(encode_google(rows), decode_google)


def test_the_kinds_are_told_apart():
    examples = made(1)
    for records, kind in (
        (encode_examples(examples), "dynamic"),
        (encode_masked(masks_of(examples), examples), "static"),
        (encode_google(masks_of(examples)), "google"),
    ):
        names = tf.train.Example.FromString(records[0]).features.feature.keys()
        assert kind_of(names) == kind
    assert kind_of(["image", "label"]) is None


# TensorFlow


def test_tensorflow_reads_our_records():
    examples = made(40, continues=True)
    masked = masks_of(examples)
    for i, record in enumerate(encode_masked(masked, examples)):
        features = tf.train.Example.FromString(record).features.feature
        begin, end = examples.starts[i : i + 2]
        assert features["token_ids"].int64_list.value == examples.token_ids[begin:end].tolist()
        assert features["segment_b"].int64_list.value == [examples.b_starts[i]]
        label = [] if examples.next_sentence_label[i] == NO_PAIR else [examples.next_sentence_label[i]]
        assert features["next_sentence_label"].int64_list.value == label
        flags = np.packbits(examples.continues[begin:end]).tobytes()
        assert features["continues"].bytes_list.value == [flags]
        used = int(masked["mask_weights"][i].sum())
        assert features["mask_ids"].int64_list.value == masked["mask_ids"][i, :used].tolist()
        assert features["mask_positions"].int64_list.value == masked["mask_positions"][i, :used].tolist()


def test_tensorflow_parses_our_records_in_a_graph():
    examples = made(40)
    wanted = {"token_ids": tf.io.RaggedFeature(tf.int64), "segment_b": tf.io.FixedLenFeature([], tf.int64)}
    found = tf.io.parse_example(encode_examples(examples), wanted)
    np.testing.assert_array_equal(found["token_ids"].flat_values, examples.token_ids)
    np.testing.assert_array_equal(found["segment_b"], examples.b_starts)


def test_tensorflow_parses_our_google_records_as_google_does():
    rows = {**masks_of(made(20)), "next_sentence_label": np.ones(20, np.int32)}
    wanted = {
        google: tf.io.FixedLenFeature(
            rows[ours].shape[1:], tf.float32 if google.endswith("weights") else tf.int64
        )
        for google, ours in GOOGLE_NAMES.items()
    }
    found = tf.io.parse_example(encode_google(rows), wanted)
    for google, ours in GOOGLE_NAMES.items():
        np.testing.assert_array_equal(found[google].numpy(), rows[ours])


@pytest.mark.parametrize("garden", [False, True])
def test_google_records_written_by_tensorflow_are_read(garden):
    rows = {**masks_of(made(50)), "next_sentence_label": np.arange(50, dtype=np.int32) % 2}
    names = dict(GOOGLE_NAMES)
    if garden:
        for old, new in (("input_ids", "input_word_ids"), ("segment_ids", "input_type_ids")):
            names[new] = names.pop(old)
    records = [
        by_tensorflow(
            **{name: np.atleast_1d(rows[ours][i]).tolist() for name, ours in names.items()}, position_ids=[0]
        )
        for i in range(50)
    ]
    found = back(records, decode_google)
    assert found.keys() == rows.keys()
    for name in rows:
        np.testing.assert_array_equal(found[name], rows[name])


def test_features_in_any_order_and_strange_ones_besides_are_read(one_by_one):
    examples = made(60)
    rng = np.random.default_rng(3)
    records = []
    for i in range(60):
        begin, end = examples.starts[i : i + 2]
        entries = [
            ("token_ids", varints(examples.token_ids[begin:end], np.array([0, end - begin]))[0]),
            ("segment_b", varint(int(examples.b_starts[i]))),
            ("another", b"\x07"),
        ]
        if examples.next_sentence_label[i] != NO_PAIR:
            entries.append(("next_sentence_label", varint(int(examples.next_sentence_label[i]))))
        entries = [(name, field(1, 2, values)) for name, values in entries]
        records.append(by_hand([entries[j] for j in rng.permutation(len(entries))]))
    assert_equal(back(records), examples)
    assert len(one_by_one) < 60  # a few orders side by side, the rest one by one


def unusual(token_ids=(5, 300, 7)):
    """The same example in forms that are valid, which TensorFlow reads as one."""
    packed = varints(np.array(token_ids), np.array([0, len(token_ids)]))[0]
    unpacked = b"".join(field(1, 0, varint(i)) for i in token_ids)
    b_start, label = ("segment_b", field(1, 0, b"\x02")), ("next_sentence_label", field(1, 2, b"\x01"))
    plain = [("token_ids", field(1, 2, packed)), b_start, label]
    yield "plain", by_hand(plain)
    yield "unpacked", by_hand([("token_ids", unpacked), b_start, label])
    yield (
        "in two lists",
        by_hand([("token_ids", field(1, 0, b"\x05") + field(1, 2, packed[1:])), b_start, label]),
    )
    yield "the last of one name", by_hand([("token_ids", field(1, 2, b"\x01")), *plain])
    yield "features in two messages", by_hand(plain[:1]) + by_hand(plain[1:])
    yield (
        "unknown fields",
        field(9, 0, b"\x01") + field(8, 5, b"abcd") + by_hand(plain) + field(7, 1, b"12345678"),
    )
    yield "an empty feature", by_hand([*plain, ("else", b"")])
    swapped = field(2, 2, field(3, 2, field(1, 2, packed))) + field(1, 2, b"token_ids")
    yield "value before name", field(1, 2, field(1, 2, swapped)) + by_hand(plain[1:])
    long_length = b"\x0a" + bytes([len(by_hand(plain)) - 2 | 0x80, 0x80, 0])
    yield "a length of three bytes", long_length + by_hand(plain)[2:]
    yield (
        "ids longer than need be",
        by_hand([("token_ids", field(1, 2, b"\x85\x00" + packed[1:])), b_start, label]),
    )
    yield "floats besides", by_hand(plain) + by_hand([("f", field(1, 5, b"1234"))], kind=2)


@pytest.mark.parametrize(("record", "what"), [pytest.param(r, w, id=w) for w, r in unusual()])
def test_every_valid_form_is_read_as_tensorflow_reads_it(record, what):
    features = tf.train.Example.FromString(record).features.feature
    assert features["token_ids"].int64_list.value == [5, 300, 7]
    plain = next(unusual())[1]
    for records in ([record], [plain, record, plain], [record] * 30 + [plain] * 3):
        found = back(records)
        assert found.token_ids.tolist() == [5, 300, 7] * len(records)
        assert found.b_starts.tolist() == [2] * len(records)
        assert found.next_sentence_label.tolist() == [1] * len(records)


def test_records_cut_or_altered_are_read_as_tensorflow_reads_them_or_refused():
    """Whatever we accept, TensorFlow accepts with the same values."""
    rng = np.random.default_rng(5)
    whole = encode_examples(made(30, continues=True, largest=300))
    accepted = 0
    for turn in range(3000):
        record = bytearray(whole[turn % 30])
        if turn % 3:
            record[rng.integers(len(record))] = rng.integers(256)
        else:
            del record[rng.integers(len(record)) :]
        record = bytes(record)
        try:  # alone it is read by itself, behind a sound one beside that
            alone, found = back([record]), back([whole[turn % 30], record])
        except DataError as error:
            assert "x.tfrecord" in str(error)
            continue
        accepted += 1
        features = tf.train.Example.FromString(record).features.feature
        assert features["token_ids"].int64_list.value == alone.token_ids.tolist()
        assert features["segment_b"].int64_list.value == alone.b_starts.tolist()
        assert_equal(found.take([1]), alone)
    assert accepted > 500


def test_a_length_that_disagrees_with_what_holds_it_is_not_read_side_by_side(one_by_one):
    plain = next(unusual())[1]
    place = plain.index(b"\x1a") + 1  # the length of the list of ids
    shorter = plain[:place] + bytes([plain[place] - 1]) + plain[place + 1 :]
    with pytest.raises(DataError, match="record 1"):
        back([plain, shorter])
    assert len(one_by_one) == 2


def test_of_two_features_of_one_name_the_later_one_counts_even_if_it_is_empty():
    label = field(1, 2, field(1, 2, b"next_sentence_label"))
    record = by_tensorflow(token_ids=[1], segment_b=[1], next_sentence_label=[1]) + field(1, 2, label)
    assert not tf.train.Example.FromString(record).features.feature["next_sentence_label"].WhichOneof("kind")
    assert back([record]).next_sentence_label.tolist() == [NO_PAIR]


# What is wrong


WRONG = {
    "not an example": (b"\xff\xff\xff", "no valid record"),
    "nothing": (b"", "no `token_ids`"),
    "no ids": (by_tensorflow(token_ids=[], segment_b=[0]), "no `token_ids`"),
    "ids missing": (by_tensorflow(segment_b=[0]), "no `token_ids`"),
    "ids as floats": (by_tensorflow(token_ids=[1.0], segment_b=[1]), "`token_ids` is of type float"),
    "a negative id": (by_tensorflow(token_ids=[1, -1], segment_b=[2]), "the value -1"),
    "a huge id": (by_tensorflow(token_ids=[1, 2**31], segment_b=[2]), "the value 2147483648"),
    "B outside": (by_tensorflow(token_ids=[1, 2], segment_b=[3]), "`segment_b` is outside"),
    "B before": (by_tensorflow(token_ids=[1, 2], segment_b=[-1]), "`segment_b` is outside"),
    "B twice": (by_tensorflow(token_ids=[1, 2], segment_b=[1, 1]), "`segment_b` is not one number"),
    "no B": (by_tensorflow(token_ids=[1, 2]), "no `segment_b`"),
    "a label of 2": (by_tensorflow(token_ids=[1, 2], segment_b=[1], next_sentence_label=[2]), "is neither"),
    "a label alone": (by_tensorflow(token_ids=[1, 2], segment_b=[2], next_sentence_label=[1]), "together"),
    "B without a label": (by_tensorflow(token_ids=[1, 2], segment_b=[1]), "together"),
    "flags of another length": (by_tensorflow(token_ids=[1, 2], segment_b=[2], continues=b"ab"), "continues"),
    "an integer of 65 bits": (by_hand([("token_ids", field(1, 2, b"\xff" * 9 + b"\x02"))]), "64 bits"),
    "an integer of 11 bytes": (by_hand([("token_ids", field(1, 2, b"\xff" * 10 + b"\x01"))]), "64 bits"),
    "an integer that is cut": (by_hand([("token_ids", field(1, 2, b"\x05\x85"))]), "64 bits"),
    "a name that is no text": (b"\x0a\x07\x0a\x05\x0a\x01\xff\x12\x00", "UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_record_is_refused_by_its_number(what):
    record, expected = WRONG[what]
    good = by_tensorflow(token_ids=[4, 5, 6], segment_b=[3])
    message = refusal_of(lambda: back([record]))
    assert expected in message and "x.tfrecord, record 0" in message
    message = refusal_of(lambda: back([good, good, record, good]))
    assert expected in message or "of type" in message
    assert "x.tfrecord, record" in message
    message = refusal_of(lambda: back([good, record], numbers=[7, 98]))
    assert "record 98" in message or what == "flags of another length"


def test_wrong_masks_are_refused():
    def record(**slots):
        return by_tensorflow(token_ids=[1, 2, 3], segment_b=[3], **slots)

    for slots, expected in (
        ({"mask_positions": [3], "mask_ids": [1]}, "`mask_positions` has the value 3"),
        ({"mask_positions": [0, 1], "mask_ids": [1]}, "differ in length"),
        ({"mask_positions": [0], "mask_ids": [-2]}, "`mask_ids` has the value -2"),
        ({"mask_positions": [0, 1, 2], "mask_ids": [1, 1, 1]}, "more masks than a row has slots"),
        ({"mask_positions": [0]}, "no `mask_ids`"),
    ):
        assert expected in refusal_of(lambda s=slots: back([record(**s)], decode_masked, num_slots=2))


def test_wrong_google_records_are_refused():
    def row(**changes):
        features = {
            "input_ids": [1, 2, 3, 0], "input_mask": [1, 1, 1, 0], "segment_ids": [0, 0, 1, 0],
            "masked_lm_positions": [1, 0], "masked_lm_ids": [9, 0], "masked_lm_weights": [1.0, 0.0],
            "next_sentence_labels": [1],
        }  # fmt: skip
        return by_tensorflow(**{k: v for k, v in (features | changes).items() if v is not None})

    assert back([row()], decode_google)["token_ids"].tolist() == [[1, 2, 3, 0]]
    for changes, expected in (
        ({"input_ids": [1, 2, 3]}, "record 1: `input_ids` is of another length. Expected: 4 numbers"),
        ({"input_mask": [1, 1, 1, 2]}, "record 1: `input_mask` has the value 2"),
        ({"input_mask": [1, 1]}, "record 1: `input_mask` is of another length"),
        ({"masked_lm_positions": [4, 0]}, "record 1: `masked_lm_positions` has the value 4"),
        ({"masked_lm_weights": [1.0]}, "record 1: `masked_lm_weights` is of another length"),
        ({"segment_ids": None}, "record 1: `segment_ids` is of another length"),
        ({"next_sentence_labels": [3]}, "record 1: `next_sentence_labels` is neither"),
        ({"masked_lm_ids": [1.0, 2.0]}, "of type"),
    ):
        assert expected in refusal_of(lambda c=changes: back([row(), row(**c)], decode_google))
    assert "no `input_type_ids`" in refusal_of(lambda: back([row(segment_ids=None)], decode_google))
