"""Matrices turned."""

import ml_dtypes
import numpy as np
import pytest

from keras_bert.checkpoints.transposition import turned


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 300), (300, 1), (127, 5), (128, 64), (129, 70), (768, 3072), (0, 4)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
def test_every_number_is_where_the_transpose_has_it(shape, dtype):
    matrix = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    result = turned(matrix)
    assert result.dtype == dtype
    assert result.flags.c_contiguous
    assert result.tobytes() == matrix.T.tobytes()


def test_the_dtype_is_changed_on_the_way():
    matrix = np.random.default_rng(0).standard_normal((150, 20)).astype(np.float16)
    result = turned(matrix, np.float32)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, matrix.T.astype(np.float32))


def test_a_view_of_a_larger_matrix_is_turned():
    matrix = np.arange(400 * 60, dtype=np.float32).reshape(400, 60)[::2, 3:50]
    np.testing.assert_array_equal(turned(matrix), matrix.T)


def test_a_vector_stays():
    np.testing.assert_array_equal(turned(np.arange(5.0)), np.arange(5.0))
