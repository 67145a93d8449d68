"""A function over tasks, by several processes."""

import os
import time

import pytest

from keras_bert.errors import DataError, TrainingError
from keras_bert.files.processes import in_order


def slow_square(number):
    time.sleep(0.01 * (number % 3))
    return number**2, os.getpid()


def fail(number):
    if number == 3:
        raise DataError("The number is three", where="file:3", expected="another")
    return number


def die(number):
    os._exit(9)


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(num_workers):
    results = list(in_order(slow_square, iter(range(20)), num_workers))
    assert [square for square, _ in results] == [number**2 for number in range(20)]
    processes = {process for _, process in results}
    assert (processes == {os.getpid()}) == (num_workers == 1)


def test_tasks_are_read_as_far_as_there_is_work_for():
    read = []
    results = in_order(abs, (read.append(number) or number for number in range(1000)), 2)
    assert next(results) == 0
    assert len(read) < 20
    results.close()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_error_of_ours_arrives_with_its_message(num_workers):
    with pytest.raises(DataError, match="file:3: The number is three. Expected: another"):
        list(in_order(fail, range(8), num_workers))


def test_a_dead_worker_is_told_of():
    with pytest.raises(TrainingError, match="worker process died"):
        list(in_order(die, range(8), 2))
