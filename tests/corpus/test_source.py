"""The batches of a run: from any place on, again, in parts, and none moved by who only looks."""

import itertools
import json
import socket
import subprocess
import sys

import numpy as np
import pytest
from written_corpus import COUNTS, LENGTH, SLOTS, assert_same, write_corpus

from keras_bert.corpus.masking import Masker, Masking
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.source import PretrainingData
from keras_bert.errors import DataError, UsageError

MODES = [{}, {"shuffle": False}, {"buckets": True}, {"packed": 64}, {"drop_remainder": False}]
MODES += [{"buckets": True, "drop_remainder": False}, {"packed": 40, "drop_remainder": False}]
BATCH = 6


@pytest.fixture(params=MODES, ids=str)
def mode(request, monkeypatch):
    monkeypatch.setattr("keras_bert.corpus.batches._WINDOW_BATCHES", 3)
    return request.param


@pytest.fixture(scope="module")
def written(tmp_path_factory, tokenizer):
    """A folder of each kind, and the examples."""
    folder = tmp_path_factory.mktemp("source")
    masker = Masker(tokenizer.vocabulary, Masking(0.15, SLOTS), seed=3)
    whole = [write_corpus(folder / kind, tokenizer, masker, kind) for kind in ("dynamic", "static", "google")]
    write_corpus(folder / "small", tokenizer, counts=(3, 1))
    return folder, whole[0]


@pytest.fixture
def masker(tokenizer):
    return Masker(tokenizer.vocabulary, Masking(0.15, SLOTS), seed=3)


@pytest.fixture
def data(written, masker):
    """A function that opens the data, as another process would."""

    def opened(kind="dynamic", batch_size=BATCH, **options):
        own = {"masker": masker} if kind in ("dynamic", "small") else {}
        return PretrainingData(PretrainingRecords(written[0] / kind), batch_size, **own | options)

    return opened


def taken(dataset, count=None) -> list[dict]:
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def epochs_of(data, count) -> list[tuple[int, int, dict]]:
    """(epoch, number, batch) of the first epochs, by the reader itself."""
    plan = data._plan
    options = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    return [
        (epoch, number, batch)
        for epoch in range(count)
        for number, batch in enumerate(data.records.batches(**options | {"epoch": epoch}))
    ]


def numbers_of(batches) -> list[int]:
    """The examples of some batches, in order."""
    return [i for batch in batches for i in batch["record_indices"].ravel().tolist() if i >= 0]


# The number of an example


@pytest.mark.parametrize("kind", ["dynamic", "static", "google"])
@pytest.mark.parametrize("shard", [(0, 1), (1, 3)], ids=str)
def test_the_number_of_an_example_points_to_it(written, masker, mode, kind, shard):
    folder, whole = written
    records = PretrainingRecords(folder / kind)
    own_masker = masker if kind == "dynamic" else None
    batches = list(records.batches(BATCH, masker=own_masker, shard=shard, start=1, **mode))
    assert len(batches) > 2
    for batch in batches:
        assert batch["record_indices"].dtype == np.int64
        for row in range(len(batch["token_ids"])):
            numbers = np.atleast_1d(batch["record_indices"][row])
            for place, number in enumerate(numbers.tolist()):
                own = batch["padding_mask"][row] > 0
                if "packed" in mode:
                    assert (number == -1) == (place >= batch["example_ids"][row].max())
                    own = batch["example_ids"][row] == place + 1
                if number == -1:
                    continue
                ids = batch["token_ids"][row].copy()
                slots = batch["mask_weights"][row] > 0
                ids[batch["mask_positions"][row][slots]] = batch["mask_ids"][row][slots]
                expected = whole.token_ids[whole.starts[number] : whole.starts[number + 1]]
                np.testing.assert_array_equal(ids[own], expected)


def test_an_epoch_has_every_number_once(data, mode):
    batches = [batch for _, _, batch in epochs_of(data(**mode | {"drop_remainder": False}), 1)]
    assert sorted(numbers_of(batches)) == list(range(sum(COUNTS)))


# The run


def test_a_dataset_goes_on_epoch_after_epoch(data, mode):
    source = data(**mode)
    expected = epochs_of(source, 3)
    dataset = source.dataset()
    assert_same(taken(dataset, len(expected)), [batch for *_, batch in expected])
    assert dataset.cardinality() == -1
    for epoch in range(3):
        count = source.num_batches(epoch)
        assert [number for e, number, _ in expected if e == epoch] == list(range(count))
    if mode.get("shuffle", True):
        orders = [numbers_of(b for e, _, b in expected if e == epoch) for epoch in range(3)]
        assert orders[0] != orders[1] != orders[2]
    first, second = expected[0][2], next(batch for e, _, batch in expected if e == 1)
    if not mode.get("shuffle", True):
        np.testing.assert_array_equal(first["record_indices"], second["record_indices"])
        assert (first["mask_positions"] != second["mask_positions"]).any()


def test_a_run_that_seeks_any_step_goes_on_as_the_undisturbed_one(data, mode):
    source = data(**mode)
    count = source.num_batches() + source.num_batches(1) + 3
    whole = taken(source.dataset(), count)
    for step in range(0, count - 2, 3 if not mode else 7):
        other = data(**mode)
        other.seek(step, *source.position(step))
        assert other.position(step) == source.position(step)
        found = taken(other.dataset(), min(count - step, 7))
        assert_same(found, whole[step : step + 7])
        for later in range(step, min(count, step + 7)):
            assert other.position(later) == source.position(later)


def test_the_position_of_a_step_is_that_of_its_batch(data, mode):
    source = data(**mode)
    expected = epochs_of(source, 2)
    source.seek(100, 0, 0)
    iterator = source.dataset().as_numpy_iterator()
    for step, (epoch, number, batch) in enumerate(expected, start=100):
        assert_same([next(iterator)], [batch])
        assert source.position(step) == (epoch, number)
        assert_same([source.batch(epoch, number)], [batch])
    assert source.position(100) == (0, 0)


def test_the_place_after_the_last_batch_that_was_handed_out_can_be_sought(data, mode):
    """Also where that batch is an epoch's last, which of packed rows nobody knows then."""
    source = data(**mode)
    expected, count = epochs_of(source, 2), source.num_batches()
    batches = source._batches(source._plan, source._courses[-1], None)  # no prefetching here
    for step in range(count + 1):
        next(batches)
        if 2 < step < count - 2:
            continue
        other = data(**mode)
        other.seek(step + 1, *source.position(step + 1))
        [found] = taken(other.dataset(), 1)
        assert_same([found], [expected[step + 1][2]])
        assert other.position(step + 1) == expected[step + 1][:2]
        with pytest.raises(UsageError, match=f"step {step + 2} is not known"):
            source.position(step + 2)


def test_iterations_that_are_thrown_away_move_nothing(data, mode):
    source = data(**mode)
    expected = epochs_of(source, 3)
    source.seek(7, *expected[4][:2])
    dataset = source.dataset()
    for _ in range(3):
        next(iter(dataset))
    running = dataset.as_numpy_iterator()
    for step in range(7, 12):
        next(iter(dataset))
        assert_same([next(running)], [expected[step - 3][2]])
        assert source.position(step) == expected[step - 3][:2]


def test_an_old_iteration_does_not_speak_for_the_new_place(data):
    source = data()
    old = source.dataset().as_numpy_iterator()
    next(old)
    source.seek(10, 5, 3)
    for _ in range(30):
        next(old)
    assert source.position(10) == (5, 3) and source.position(2) == (0, 2)
    with pytest.raises(UsageError, match="step 12 is not known"):
        source.position(12)
    next(source.dataset().as_numpy_iterator())
    assert source.position(11) == (5, 4)


def test_a_place_sought_again_earlier_is_the_one_that_counts(data):
    source = data()
    taken(source.dataset(), 40)
    source.seek(10, 7, 1)
    taken(source.dataset(), 1)
    assert source.position(10) == (7, 1) and source.position(9) == (0, 9)


def test_the_end_of_an_epoch_is_the_begin_of_the_next(data):
    source = data()
    source.seek(20, 0, source.num_batches())
    assert source.position(20) == (1, 0)
    assert_same(taken(source.dataset(), 1), [source.batch(1, 0)])


# Evaluation


@pytest.mark.parametrize("options", [{}, {"buckets": True}, {"packed": 64}], ids=str)
def test_an_evaluation_has_every_example_once_and_the_same_masks_each_time(data, options):
    source = data(shuffle=False, drop_remainder=False, batch_size=16, **options)
    source.seek(0, 3, 0)
    dataset = source.dataset(num_epochs=1)
    first = taken(dataset)
    assert sorted(numbers_of(first)) == list(range(sum(COUNTS)))
    assert_same(taken(dataset), first)
    assert_same(first[:1], [source.batch(3, 0)])
    assert (first[0]["token_ids"] != source.batch(0, 0)["token_ids"]).any()
    if "packed" not in options:
        assert int(dataset.cardinality()) == source.num_batches() == len(first)


def test_a_dataset_of_some_epochs_begins_where_it_was_made_to(data):
    source = data()
    source.seek(0, 2, 5)
    dataset = source.dataset(num_epochs=2)
    assert len(taken(dataset)) == int(dataset.cardinality()) == 2 * source.num_batches() - 5
    source.seek(0, 2, 4)
    with pytest.raises(Exception, match="was made to begin at batch 5 of an epoch, not 4"):
        taken(dataset)
    assert isinstance(source.fault, UsageError)


@pytest.mark.parametrize("options", [{}, {"buckets": True}, {"packed": 64}], ids=str)
def test_fewer_examples_than_a_batch_are_one_batch_or_refused(data, options):
    source = data("small", batch_size=32, drop_remainder=False, **options)
    [batch] = taken(source.dataset(num_epochs=1))
    assert sorted(numbers_of([batch])) == [0, 1, 2, 3]
    assert source.num_batches() == 1
    with pytest.raises(DataError, match="no batch: the records have 4 examples.*drop_remainder=False"):
        data("small", batch_size=32, **options)


def test_an_epoch_that_turns_out_to_have_no_batch_stops(data, monkeypatch):
    source = data(packed=64)
    monkeypatch.setattr("keras_bert.corpus.source.epoch_batches", lambda *_: iter(()))
    with pytest.raises(Exception, match="Epoch 0 has no batch"):
        taken(source.dataset(), 1)
    assert isinstance(source.fault, DataError)


# Shapes, targets, kinds


@pytest.mark.parametrize("kind", ["dynamic", "static", "google"])
def test_what_is_the_same_in_all_batches_is_fixed(data, kind):
    def shape(name, **options):
        return data(kind, **options).dataset().element_spec[name].shape.as_list()

    assert shape("token_ids") == [BATCH, LENGTH] and shape("mask_ids") == [BATCH, SLOTS]
    assert shape("record_indices") == [BATCH]
    assert shape("token_ids", drop_remainder=False) == [None, LENGTH]
    assert shape("token_ids", buckets=True) == [BATCH, None]
    assert shape("position_ids", packed=64) == [BATCH, 64]
    assert shape("next_sentence_label", packed=64) == shape("record_indices", packed=64) == [BATCH, None]


def test_targets_are_made_of_each_batch(data):
    def targets(batch):
        return {"token_ids": batch["token_ids"]}, batch["mask_ids"], batch["mask_weights"]

    source = data()
    x, y, weights = next(source.dataset(targets).as_numpy_iterator())
    batch = source.batch(0, 0)
    assert_same([{**x, "mask_ids": y, "mask_weights": weights}],
                [{name: batch[name] for name in ("token_ids", "mask_ids", "mask_weights")}])  # fmt: skip


def test_files_of_google_without_a_folder_do_as_well(data, written):
    files = PretrainingData(PretrainingRecords(str(written[0] / "google/*.tfrecord")), BATCH)
    assert_same(taken(files.dataset(), 30), taken(data("google").dataset(), 30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masker": None}, "hold no masks.*a Masker"), ({"batch_size": 0}, "batch_size"),
        ({"buckets": True, "packed": 64}, "buckets"), ({"max_length": 0}, "max_length"),
        ({"packed": 16}, "to 16, the length of a row"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused_at_once(data, options, message):
    with pytest.raises((UsageError, DataError), match=message):
        data(**options)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda data: data.seek(-1, 0, 0), "step"), (lambda data: data.seek(0, 1.5, 0), "epoch"),
        (lambda data: data.seek(0, 0, True), "number"),
        (lambda data: data.seek(0, 4, 21), "Epoch 4 has 20 batches, none of them is number 21"),
        (lambda data: data.position(1), "0 to 0"), (lambda data: data.position(-1), "not known"),
        (lambda data: data.batch(2, 20), "Epoch 2 has 20 batches, none of them is number 20"),
        (lambda data: data.dataset(num_epochs=0), "num_epochs"),
    ],
)  # fmt: skip
def test_places_that_do_not_exist_are_refused(data, act, message):
    with pytest.raises(UsageError, match=message):
        act(data())


def test_a_place_beyond_the_end_of_a_packed_epoch_is_refused_when_it_is_reached(data):
    source = data(packed=64)
    source.seek(0, 0, 1000)
    with pytest.raises(Exception, match="none of them is number 1000"):
        taken(source.dataset(), 1)
    assert isinstance(source.fault, UsageError)


# Several replicas, several workers


@pytest.mark.parametrize(("workers", "replicas"), [(2, 2), (3, 1)], ids=str)
def test_the_parts_of_all_workers_are_the_global_batch(data, mode, workers, replicas):
    source = data(**mode)
    count = source.num_batches() + 2
    whole = taken(source.dataset(), count)
    parts = [
        taken(data(**mode)._part(None, None, worker, workers, replicas), count * replicas)
        for worker in range(workers)
    ]
    for step, batch in enumerate(whole):
        own = [part for own in parts for part in own[step * replicas : (step + 1) * replicas]]
        sizes = [len(part["token_ids"]) for part in own]
        assert max(sizes) - min(sizes) <= 1
        assert numbers_of(own) == numbers_of([batch])
        for name in ("padding_mask", "segment_ids", "token_ids"):
            np.testing.assert_array_equal(np.concatenate([part[name] for part in own]), batch[name])
        assert sum(part["mask_weights"].sum() for part in own) == batch["mask_weights"].sum()


def test_the_parts_of_several_replicas_are_not_counted_as_steps(data):
    source = data(drop_remainder=False)
    one, two = (source._part(None, 1, 0, 2, replicas) for replicas in (1, 2))
    assert int(one.cardinality()) == source.num_batches() == len(taken(one))
    assert int(two.cardinality()) == -2 and len(taken(two)) == 2 * source.num_batches()


def test_a_worker_masks_its_part_only(data, mode, monkeypatch):
    if "packed" in mode or "buckets" in mode:
        monkeypatch.setattr("keras_bert.corpus.batches._MASKED_AT_ONCE", 1)
    masked, call = [], Masker.__call__

    def counted(self, rows, epoch, indices):
        masked.extend(np.asarray(indices).tolist())
        return call(self, rows, epoch, indices)

    source = data(**mode)
    monkeypatch.setattr(Masker, "__call__", counted)
    batches = taken(source._part(None, 1, 1, 2, 1))
    assert sorted(masked) == sorted(numbers_of(batches))
    assert len(masked) < 0.6 * sum(COUNTS)


MIRRORED = """
import faulthandler, sys
faulthandler.dump_traceback_later(280, exit=True)  # it hung once in some hundred runs: then say where
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.source import PretrainingData
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(4)])
records = PretrainingRecords(sys.argv[1])
for size, num_epochs, options in (
    (6, None, {}), (6, 1, {"drop_remainder": False}), (32, 1, {"drop_remainder": False}),
    (6, 1, {"packed": 64, "drop_remainder": False}), (32, None, {"buckets": True, "drop_remainder": False}),
):
    data = PretrainingData(records, size, **options)
    dataset = data.dataset(lambda batch: (batch, batch["mask_ids"], batch["mask_weights"]),
                           strategy=strategy, num_epochs=num_epochs)
    distributed, count = iter(strategy.experimental_distribute_dataset(dataset)), data.num_batches()
    for number in range(count + (num_epochs is None)):
        x, y, weights = next(distributed)
        expected = data.batch(number // count, number % count)
        for name, rows in expected.items():
            parts = strategy.experimental_local_results(x[name])
            assert len(parts) == 4
            np.testing.assert_array_equal(np.concatenate(parts), rows)
        assert data.position(number) == (number // count, number % count)
    if num_epochs:
        try:
            next(distributed)
            raise SystemExit("there are more batches")
        except (StopIteration, tf.errors.OutOfRangeError):
            pass
try:
    PretrainingData(records, 3).dataset(strategy=strategy)
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_four_replicas_have_the_global_batch_together_uneven_ones_too(written):
    """121 examples: the last batch of 32 has 25 rows, that of 6 has one row for four replicas."""
    process = subprocess.run(
        [sys.executable, "-c", MIRRORED, written[0] / "google"], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    assert "A batch of 3 is too small for 4 replicas" in process.stdout


WORKER = """
import json, os, sys
ports, index, folder = sys.argv[1].split(","), int(sys.argv[2]), sys.argv[3]
cluster = {"worker": [f"localhost:{port}" for port in ports]}
os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
import tensorflow as tf
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.source import PretrainingData
strategy = tf.distribute.MultiWorkerMirroredStrategy()
seen = []
for num_epochs, options in ((None, {}), (1, {"drop_remainder": False}), (1, {"packed": 64})):
    data = PretrainingData(PretrainingRecords(folder), 6, **options)
    data.seek(5, 1, 2)
    dataset = data.dataset(lambda batch: (batch, batch["mask_ids"]), strategy=strategy, num_epochs=num_epochs)
    steps = []
    for x, _ in dataset:
        indices = strategy.experimental_local_results(x["record_indices"])[0].numpy().ravel().tolist()
        steps.append((data.position(5 + len(steps)), [i for i in indices if i >= 0]))
        if len(steps) == 22:
            break
    seen.append(steps)
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_two_real_workers_have_the_global_batches_together(data, written):
    """Beyond the end of an epoch, and with a last batch of one example, of which one worker has nothing."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    ports = ",".join(str(held.getsockname()[1]) for held in sockets)
    for held in sockets:
        held.close()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, ports, str(index), written[0] / "google"], stdout=subprocess.PIPE
        )
        for index in range(2)
    ]
    try:
        one, other = (json.loads(worker.communicate(timeout=300)[0]) for worker in workers)
    finally:
        for worker in workers:  # the one that waits for a worker that failed
            worker.kill()
            worker.communicate()
    assert [len(steps) for steps in one] == [len(steps) for steps in other]
    for options, steps, others in zip(
        ({}, {"drop_remainder": False}, {"packed": 64}), one, other, strict=True
    ):
        source = data("google", **options)
        assert len(steps) == (22 if not options else source.num_batches(1) - 2)
        for (position, own), (_, theirs) in zip(steps, others, strict=True):
            assert own + theirs == numbers_of([source.batch(*position)])
        if options == {"drop_remainder": False}:
            assert (steps[-1][1], len(others[-1][1])) == ([], 1)
