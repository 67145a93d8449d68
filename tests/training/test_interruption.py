"""What TensorFlow says of a lost worker becomes one message; one process alone is asked nothing."""

import os
import signal
import sys
import types

import numpy as np
import pytest

from keras_bert.cli import main as cli
from keras_bert.errors import DataError, Interrupted
from keras_bert.training.interruption import Workers, peers_watched, sigterm_interrupts

tf = pytest.importorskip("tensorflow")

LOST = (
    "Collective ops is aborted by: recvmsg:Connection reset by peer\n"
    "Additional GRPC error information from remote target /job:worker/replica:0/task:1 while calling RecvBuf"
)


class TwoWorkers:
    """What `peers_watched` asks of a strategy."""

    class extended:
        @staticmethod
        def _in_multi_worker_mode():
            return True

    class cluster_resolver:
        task_type, task_id = "worker", 0

        @staticmethod
        def cluster_spec():
            return tf.train.ClusterSpec({"worker": ["a:1", "b:1"]})

    num_replicas_in_sync = 2


class Resumed:
    saved_step = 1200


@pytest.mark.parametrize(
    "kind", [tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError]
)
def test_a_lost_worker_is_named_with_the_way_on(kind):
    told = "The worker 1 is gone.*aborted by: recvmsg.*start all workers again.*goes on from step 1,200"
    with pytest.raises(Interrupted, match=told), peers_watched(TwoWorkers, Resumed):
        raise kind(None, None, LOST)


def test_other_errors_pass_through():
    fault = tf.errors.InternalError(None, None, "Failed to launch a kernel")
    for error in (fault, DataError("a"), ValueError("b")):
        with pytest.raises(type(error)) as caught, peers_watched(TwoWorkers):
            raise error
        assert caught.value is error
    with pytest.raises(tf.errors.UnavailableError), peers_watched(tf.distribute.get_strategy()):
        raise tf.errors.UnavailableError(None, None, LOST)


def test_one_process_is_its_own_chief_and_sums_are_its_values():
    workers = Workers(tf.distribute.get_strategy())
    assert workers.is_chief and workers.count == 1
    assert workers.any(True, False) == [True, False]
    np.testing.assert_array_equal(workers.gathered(np.ones((1, 3))), np.ones((1, 3)))


def test_a_chief_counts_before_the_workers():
    assert (Workers(TwoWorkers).count, Workers(TwoWorkers).index) == (2, 0)

    class WithChief(TwoWorkers):
        class cluster_resolver(TwoWorkers.cluster_resolver):
            @staticmethod
            def cluster_spec():
                return tf.train.ClusterSpec({"chief": ["c:1"], "worker": ["a:1", "b:1"]})

    workers = Workers(WithChief)
    assert (workers.count, workers.index) == (3, 1)


def verb_that_raises(error):
    """A verb of the command line."""

    def run(values, positional):
        raise error

    return types.SimpleNamespace(__doc__="A verb.", define=lambda values: None, run=run)


def test_the_command_line_ends_with_75(monkeypatch, capsys):
    error = Interrupted("Stopped by SIGTERM", remedy="start it again")
    monkeypatch.setitem(sys.modules, "keras_bert.cli.inspect", verb_that_raises(error))
    assert cli.main(["inspect"]) == 75
    assert capsys.readouterr().err == "keras-bert inspect: Stopped by SIGTERM. To fix: start it again.\n"


def test_an_error_of_ours_is_shown_and_ends_with_1(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "keras_bert.cli.inspect", verb_that_raises(ZeroDivisionError("ours")))
    assert cli.main(["inspect"]) == 1
    assert "Traceback" in (text := capsys.readouterr().err) and text.endswith("ZeroDivisionError: ours\n")


def test_sigterm_outside_of_a_fit_is_an_interruption():
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM while nothing was trained"), sigterm_interrupts():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == former
