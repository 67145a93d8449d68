"""Work on all cores: a function over a stream of tasks, results in the order of the tasks."""

import collections
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from keras_bert.errors import TrainingError


def in_order(function: Callable, tasks: Iterable, num_workers: int) -> Iterator:
    """`map(function, tasks)` by several processes; no more than two tasks a worker are held.

    Args:
        function: callable. Of a module, or a partial of one, as every process imports it.
        tasks: iterable. Read as far as there is work for.
        num_workers: int. Processes; with 1, or one task, the work is done in this process.

    Yields:
        The results, in the order of `tasks`.

    Raises:
        TrainingError: a worker process died. What `function` raises is raised here.
    """
    tasks = iter(tasks)
    start = list(itertools.islice(tasks, 2))
    tasks = itertools.chain(start, tasks)
    if num_workers == 1 or len(start) < 2:
        yield from map(function, tasks)
        return
    # Fresh processes rather than forks: this one may run TensorFlow's threads, or the trainer's.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_start_worker)
    try:
        waiting = collections.deque()
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) > 2 * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "A worker process died before it had done its work",
            where=f"num_workers={num_workers}",
            remedy="if it was killed for lack of memory, use fewer workers; a Python script that uses "
            'several must do its work under `if __name__ == "__main__":`',
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker():
    """Leaves Ctrl-C to the parent, and ends with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
