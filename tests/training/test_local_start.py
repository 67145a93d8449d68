"""Where the heads of the first block look before training, and what that is good for."""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import UsageError
from keras_bert.tasks.pretraining import Pretraining

LENGTH, PIECES, STEPS = 40, 300, 60


def config(**changes):
    shape = {"num_layers": 2, "num_heads": 5, "hidden_dim": 80, "intermediate_dim": 96, **changes}
    return kb.BertConfig(PIECES, max_sequence_length=64, dropout=0.0, attention_dropout=0.0, **shape)


def encoder_of(local, **changes):
    keras.utils.set_random_seed(3)
    encoder = kb.bert_encoder(config(**changes))
    if local:
        kb.attend_locally(encoder)
    return encoder


def texts(count=4):
    ids = np.random.default_rng(1).integers(5, PIECES, (count, LENGTH))
    ids[:, ::3] = 4  # one piece, such as [MASK], in many places: it must not attract what it equals
    return {"token_ids": ids, "segment_ids": np.arange(LENGTH) // 20 + 0 * ids, "padding_mask": 1 + 0 * ids}


@pytest.mark.parametrize("width", [80, 320])
def test_each_head_looks_at_its_neighbour_whatever_the_pieces_are(width):
    encoder = encoder_of(True, hidden_dim=width)
    scores = kb.attention_scores(encoder).predict(texts(), verbose=0)["block_0"]  # (B, N, T, S)
    inner = np.arange(8, LENGTH - 8)
    for head, offset in enumerate([-1, 1, -2, 2, -3]):
        seen = scores[:, head, inner, :]
        assert (seen.argmax(-1) == inner + offset).mean() > 0.85
        assert np.take_along_axis(seen, (inner + offset)[None, :, None], -1).mean() > 0.5


def test_without_it_every_head_looks_at_all_pieces_alike():
    scores = kb.attention_scores(encoder_of(False)).predict(texts(), verbose=0)["block_0"]
    assert scores.max() < 2 / LENGTH


def test_the_other_blocks_and_columns_stay_as_they_were():
    plain, local = ({v.path: v.numpy() for v in encoder_of(flag).weights} for flag in (False, True))
    changed = {path for path in plain if not np.array_equal(plain[path], local[path])}
    tables = {f"embeddings/{name}_embedding/embeddings" for name in ("token", "position", "segment")}
    kernels = {f"block_0/attention/{name}/kernel" for name in ("query_key_value", "output")}
    assert changed == tables | kernels
    assert all(np.array_equal(plain[path][:, 16:], local[path][:, 16:]) for path in tables)


def test_a_piece_told_by_its_neighbour_is_learnt_sooner():
    """Every masked piece follows from the one before it; both begin with the same random weights."""
    losses = {}
    for local in (False, True):
        encoder, task = encoder_of(local), Pretraining(max_length=LENGTH, next_sentence=False)
        model = task.head(encoder, config())
        model.compile(kb.AdamW(2e-3, weight_decay=0.0, global_clipnorm=1.0))
        for step in range(STEPS):
            logs = model.train_on_batch(*task.batch(told_by_neighbours(step)), return_dict=True)
        losses[local] = float(logs["loss"])
    assert losses[True] < losses[False] - 0.3


def told_by_neighbours(step, batch=16, slots=8):
    rng = np.random.default_rng(step)
    ids = rng.integers(10, 60, (batch, LENGTH))
    places = np.stack([rng.permutation(np.arange(1, LENGTH, 2))[:slots] for _ in range(batch)])
    answers = (np.take_along_axis(ids, places - 1, 1) - 10) * 7 % 50 + 10
    np.put_along_axis(ids, places, 4, 1)
    return {
        "token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 1 + 0 * ids, "mask_positions": places,
        "mask_ids": answers, "mask_weights": np.ones(places.shape, "float32"),
        "record_indices": np.arange(batch),
    }  # fmt: skip


def test_factorised_embeddings_and_heads_of_one_column_are_refused():
    for shape in ({"embedding_dim": 16}, {"num_heads": 80}):
        with pytest.raises(UsageError, match="begin locally"):
            encoder_of(True, **shape)
