"""Being stopped from outside, by signals and by the loss of a worker; how workers stop and save together."""

import contextlib
import re
import signal
import sys
import threading
import time

import numpy as np

from keras_bert.corpus.dataset import num_workers
from keras_bert.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PATIENCE = 1.0  # seconds; a second Ctrl-C after them means it
_PEER = re.compile(r"/job:(?P<job>chief|worker)/(replica:\d+/)?task:(?P<task>\d+)")
_OF_PEERS = re.compile(r"[Cc]ollective|[Cc]oordination|RPC|heartbeat|recvmsg|remote target")


class Signals:
    """Turns SIGTERM and SIGINT into a note that is looked at after the step.

    A second Ctrl-C is a KeyboardInterrupt at once. A signal that arrives when `is_running` says no, as after
    an error in `fit`, of which no callback is told, goes to whoever had it before.

    Args:
        is_running: function of the interrupted frame; whether there will be an end of a step.
    Attributes:
        received: `signal.Signals` or None.
    """

    def __init__(self, is_running=lambda frame: True):
        self.is_running, self.received, self._since = is_running, None, 0.0
        self._previous = {}

    def install(self):
        """Begins to listen; does nothing outside the main thread, where Python allows no handlers."""
        self.received = None
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number not in self._previous:
                    self._previous[number] = _former(number)
                    signal.signal(number, self._note)

    def remove(self):
        """Puts the former handlers back, but for one that somebody has replaced meanwhile."""
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, previous if previous is not None else signal.SIG_DFL)
        self._previous = {}

    def _note(self, number, frame):
        if not self.is_running(frame):
            self.remove()
            signal.raise_signal(number)
        elif number == signal.SIGINT and self.received and time.monotonic() - self._since > _PATIENCE:
            self.remove()
            raise KeyboardInterrupt
        elif self.received is None:
            self.received, self._since = signal.Signals(number), time.monotonic()
            print(f"{self.received.name}: stopping after this step ...", file=sys.stderr, flush=True)


@contextlib.contextmanager
def sigterm_interrupts():
    """Within the block SIGTERM is an `Interrupted`, also where no step of a `fit` is there to be finished.

    While a model trains, `Resume` listens in its place.
    """

    def stop(number, frame):
        raise Interrupted(
            "Stopped by SIGTERM while nothing was trained",
            remedy="start the same command again; it goes on from what is saved",
        )

    if threading.current_thread() is not threading.main_thread():
        yield  # Python allows no handlers there
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _former(number):
    """The handler of a signal, without those of ours whose `fit` has ended in an error."""
    handler = signal.getsignal(number)
    while isinstance(owner := getattr(handler, "__self__", None), Signals):
        if owner.is_running(sys._getframe()):
            break
        handler = owner._previous.get(number)
    return handler


class Workers:
    """The processes of one run. All methods are collective: each worker calls them, in the same order.

    Args:
        strategy: tf.distribute.Strategy or None.
    Attributes:
        count: int. Processes.
        index: int. Which one this is; 0 is the chief, who writes.
        num_replicas: int. Of all together.
    """

    def __init__(self, strategy=None):
        self.strategy = strategy
        self.count, self.index = (1, 0) if strategy is None else _place(strategy)
        self.num_replicas = 1 if strategy is None else strategy.num_replicas_in_sync
        self._sum = None

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    def sum(self, values) -> np.ndarray:
        """The sums of all workers' values, float64 of one shape."""
        values = np.asarray(values, "float64")
        if self.count == 1:
            return values
        import tensorflow as tf

        if self._sum is None:
            strategy, replicas = self.strategy, self.num_replicas // self.count

            def once(values):
                # One replica speaks for its worker.
                replica = tf.distribute.get_replica_context().replica_id_in_sync_group
                return tf.where(replica % replicas == 0, values, tf.zeros_like(values))

            self._sum = tf.function(
                lambda values: strategy.reduce("SUM", strategy.run(once, args=(values,)), axis=None)
            )
        return self._sum(tf.constant(values)).numpy()

    def chiefs(self, values) -> np.ndarray:
        """The chief's values, on every worker."""
        return self.sum(values if self.is_chief else np.zeros_like(values, "float64"))

    def any(self, *flags) -> list[bool]:
        """Of each flag, whether it is up on any worker."""
        return [bool(count) for count in self.sum([float(bool(flag)) for flag in flags])]

    def gathered(self, rows: np.ndarray) -> np.ndarray:
        """The rows of all replicas, from each worker those of its own, in order; float64."""
        everything = np.zeros((self.num_replicas, *rows.shape[1:]), "float64")
        everything[self.own_rows] = rows
        return self.sum(everything)

    @property
    def own_rows(self) -> slice:
        """Which of the replicas are this worker's."""
        replicas = self.num_replicas // self.count
        return slice(self.index * replicas, (self.index + 1) * replicas)


def _place(strategy) -> tuple[int, int]:
    """How many processes a strategy has, and which one this is."""
    count = num_workers(strategy)
    if count == 1:
        return 1, 0
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec()
    chiefs = cluster.num_tasks("chief") if "chief" in cluster.jobs else 0
    return count, resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)


@contextlib.contextmanager
def peers_watched(strategy=None, resume=None):
    """Within the block, what TensorFlow raises when another worker has died becomes an `Interrupted`.

    TensorFlow notices a process that is gone by its broken connections, at once, and a machine that no longer
    answers by its missing heartbeats, after about ten seconds.

    Args:
        strategy: tf.distribute.Strategy or None.
        resume: `Resume` or None. Knows where the run will go on.
    Raises:
        Interrupted
    """
    if strategy is None or _place(strategy)[0] == 1:
        yield
        return
    import tensorflow as tf

    lost = (
        tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError,
        tf.errors.InternalError, tf.errors.CancelledError,
    )  # fmt: skip
    try:
        yield
    except lost as error:
        if not isinstance(error, tf.errors.UnavailableError) and not _OF_PEERS.search(str(error)):
            raise  # such as a fault of this worker's own GPU
        saved = getattr(resume, "saved_step", None)
        where = "from the beginning" if saved is None else f"from step {saved:,}"
        raise Interrupted(
            f"{_gone(strategy, str(error))} is gone, and no worker can go on alone ({_first_line(error)})",
            remedy=f"start all workers again with the same commands; the run goes on {where}",
        ) from error


def _gone(strategy, message: str) -> str:
    """The worker that the message names and that is not this one."""
    resolver = strategy.cluster_resolver
    for match in _PEER.finditer(message):
        if (match["job"], int(match["task"])) != (resolver.task_type, resolver.task_id):
            return f"The {match['job']} {match['task']}" if match["job"] == "worker" else "The chief"
    return "Another worker"


def _first_line(error) -> str:
    lines = [line for line in str(error).splitlines() if re.search("is aborted by|onnection|heartbeat", line)]
    return f"{type(error).__name__}: {(lines or [str(error).strip()])[0][:200].strip()}"
