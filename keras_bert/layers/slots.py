"""The vectors at given places of a sequence."""

from keras import ops


def gather_slots(inputs, positions):
    """The vectors at the slots of every row: masked pieces, or the [CLS] of packed examples.

    Args:
        inputs: float tensor (B, T, D).
        positions: int tensor (B, M), each in [0, T).
    Returns:
        Float tensor (B*M, D).
    """
    batch, length, width = ops.shape(inputs)
    firsts = ops.expand_dims(ops.arange(batch, dtype="int32") * length, 1)  # (B, 1)
    positions = ops.cast(positions, "int32")
    # A place outside its own row must not fall on a neighbour's: it points behind the last row instead,
    # where the backend raises (NumPy, TensorFlow on a CPU) or gives NaN (JAX).
    inside = ops.logical_and(positions >= 0, positions < length)
    flat = ops.where(inside, firsts + positions, batch * length)  # (B, M)
    return ops.take(ops.reshape(inputs, (-1, width)), ops.reshape(flat, (-1,)), axis=0)  # (B*M, D)
