"""What `AdamW` and `Lamb` share: what of a BERT is decayed, how fast each layer learns, what is saved."""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert import heads
from keras_bert.training.lamb import Lamb
from keras_bert.training.optimizer import AdamW

CONFIG = kb.BertConfig(
    vocabulary_size=30, num_layers=2, num_heads=2, hidden_dim=8, intermediate_dim=16, embedding_dim=6
)
EVERY = pytest.mark.parametrize("optimizer_class", [AdamW, Lamb])
TENSORFLOW = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's")

OF_A_BLOCK = {  # of block_0 and block_1: whether it is decayed
    "attention/query_key_value/kernel": True,
    "attention/query_key_value/bias": False,
    "attention/output/kernel": True,
    "attention/output/bias": False,
    "attention_layer_norm/gamma": False,
    "attention_layer_norm/beta": False,
    "intermediate/kernel": True,
    "intermediate/bias": False,
    "output/kernel": True,
    "output/bias": False,
    "output_layer_norm/gamma": False,
    "output_layer_norm/beta": False,
}
OF_THE_EMBEDDINGS = {
    "embeddings/token_embedding/embeddings": True,
    "embeddings/position_embedding/embeddings": True,
    "embeddings/segment_embedding/embeddings": True,
    "embeddings/layer_norm/gamma": False,
    "embeddings/layer_norm/beta": False,
    "embeddings/embedding_projection/kernel": True,
    "embeddings/embedding_projection/bias": False,
}
OF_THE_HEADS = {  # and of the pooler
    "pooler/kernel": True,
    "pooler/bias": False,
    "masked_lm/transform/kernel": True,
    "masked_lm/transform/bias": False,
    "masked_lm/layer_norm/gamma": False,
    "masked_lm/layer_norm/beta": False,
    "masked_lm/output_bias": False,
    "masked_lm/decoder": True,
    "next_sentence/kernel": True,
    "next_sentence/bias": False,
    "classifier/kernel": True,
    "classifier/bias": False,
    "question_answering/kernel": True,
    "question_answering/bias": False,
}
IS_DECAYED = {
    **OF_THE_EMBEDDINGS,
    **{f"block_{i}/{path}": is_decayed for i in range(2) for path, is_decayed in OF_A_BLOCK.items()},
    **OF_THE_HEADS,
}


def bert():
    """The variables of one encoder under several heads, by path."""
    encoder = kb.bert_encoder(CONFIG)
    models = [
        heads.head_model(encoder, CONFIG, "pretraining", tied=False),
        heads.head_model(encoder, CONFIG, "sequence_classification", num_labels=3),
        heads.head_model(encoder, CONFIG, "question_answering"),
    ]
    return {variable.path: variable for model in models for variable in model.trainable_variables}


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def random_gradients(variables, seed=0):
    rng = np.random.default_rng(seed)
    return [keras.ops.convert_to_tensor(rng.normal(size=v.shape).astype("float32")) for v in variables]


def few():
    """One variable of each kind; a whole BERT takes long to trace."""
    chosen = ("token_embedding/embeddings", "block_0/attention/query_key_value", "block_1/output/kernel")
    return [weight for path, weight in bert().items() if any(part in path for part in chosen)]


@EVERY
def test_of_a_bert_exactly_the_kernels_and_tables_are_decayed(optimizer_class):
    weights = bert()
    assert set(weights) == set(IS_DECAYED)
    for weight in weights.values():
        weight.assign(np.ones(weight.shape))
    # Without a gradient the decay alone moves a weight.
    optimizer = optimizer_class(0.1, weight_decay=0.1)
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in weights.values()], list(weights.values()))
    moved = {path: bool((keras.ops.convert_to_numpy(weight) != 1).any()) for path, weight in weights.items()}
    assert moved == IS_DECAYED


@EVERY
def test_of_a_bert_each_layer_learns_slower_than_the_one_above(optimizer_class):
    weights = bert()
    optimizer = optimizer_class(0.1, weight_decay=0.1, global_clipnorm=None, layer_decay=0.8)
    expected = dict.fromkeys(OF_THE_EMBEDDINGS, 0.8**3)
    for block, scale in enumerate([0.8**2, 0.8]):
        expected |= {f"block_{block}/{path}": scale for path in OF_A_BLOCK}
    expected |= dict.fromkeys(OF_THE_HEADS, 1.0)
    # A plain loop: every variable alone, with an optimizer of its own whose rate is the scaled one.
    before, gradients = values(weights.values()), random_gradients(weights.values())
    optimizer.apply(gradients, list(weights.values()))
    after = values(weights.values())
    for (path, weight), start, gradient, end in zip(weights.items(), before, gradients, after, strict=True):
        weight.assign(start)
        alone = optimizer_class(0.1 * expected[path], weight_decay=0.1, global_clipnorm=None)
        alone.apply([gradient], [weight])
        np.testing.assert_allclose(end, values([weight])[0], rtol=0, atol=1e-7, err_msg=path)


@EVERY
def test_a_layer_decay_of_one_and_none_are_the_same(optimizer_class):
    ends = []
    for layer_decay in (None, 1.0):
        keras.utils.set_random_seed(0)
        weights = few()
        optimizer_class(0.1, layer_decay=layer_decay).apply(random_gradients(weights), weights)
        ends.append(values(weights))
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@EVERY
def test_the_correction_of_the_moments_is_right_at_any_step(optimizer_class):
    # A gradient of 1 from the first step on has moments of 1 once corrected: each step is the rate.
    weight = keras.Variable(np.zeros(1, "float32"), name="bias")
    optimizer = optimizer_class(1.0, global_clipnorm=None)
    optimizer.build([weight])
    for step in (1, 2, 10, 1000, 100_000, 9_999_999):
        optimizer._iterations.assign(step - 1)
        optimizer._momentums[0].assign(np.full(1, 1 - float(np.float32(0.9)) ** (step - 1)))
        optimizer._velocities[0].assign(np.full(1, 1 - float(np.float32(0.999)) ** (step - 1)))
        weight.assign(np.zeros(1))
        optimizer.apply([keras.ops.ones((1,))], [weight])
        np.testing.assert_allclose(values([weight])[0], -1.0, rtol=2e-6, err_msg=str(step))


@EVERY
def test_a_saved_model_trains_on_as_if_it_had_not_been_saved(optimizer_class, tmp_path):
    rate = kb.WarmupLinear(1e-2, total_steps=10, warmup_steps=2)
    settings = {"weight_decay": 0.3, "not_decayed": ["beta$"], "layer_decay": 0.7, "use_ema": True}
    if optimizer_class is Lamb:
        settings["not_adapted"] = ["gamma$"]
    config = kb.BertConfig(vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4)
    encoder = kb.bert_encoder(config)
    model = keras.Model(encoder.input, encoder.output["pooled_output"])
    model.compile(optimizer=optimizer_class(rate, **settings), loss="mse")
    gradients = random_gradients(model.trainable_variables)
    for _ in range(3):
        model.optimizer.apply(gradients, model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is optimizer_class
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for name, value in settings.items():
        assert loaded.optimizer.get_config()[name] == value
    for ours, theirs in zip(
        values(model.optimizer.variables), values(loaded.optimizer.variables), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    for _ in range(2):
        model.optimizer.apply(gradients, model.trainable_variables)
        loaded.optimizer.apply(gradients, loaded.trainable_variables)
    for ours, theirs in zip(
        values(model.trainable_variables), values(loaded.trainable_variables), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@TENSORFLOW
@EVERY
def test_a_step_may_stand_inside_a_condition(optimizer_class):
    import tensorflow as tf

    weights = few()
    optimizer = optimizer_class(0.1, layer_decay=0.9)
    optimizer.build(weights)
    tensors, gradients = [weight.value for weight in weights], random_gradients(weights)

    def update():
        for gradient, tensor in zip(gradients, tensors, strict=True):
            optimizer.update_step(gradient, tensor, 0.1)
        return 0

    @tf.function
    def step(is_taken):
        return tf.cond(is_taken, update, lambda: 0)

    variables = [*weights, *optimizer.variables]
    before = values(variables)
    step(tf.constant(False))
    for ours, theirs in zip(before, values(variables), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    step(tf.constant(True))
    taken = values(variables)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    update()
    for ours, theirs in zip(taken, values(variables), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@TENSORFLOW
@EVERY
def test_under_a_strategy_the_step_is_the_same(optimizer_class):
    import tensorflow as tf

    def end(strategy):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            weights = few()
            optimizer = optimizer_class(kb.WarmupLinear(0.1, 10), layer_decay=0.9)
            optimizer.build(weights)
        gradients = random_gradients(weights)

        @tf.function
        def step():
            optimizer.apply(gradients, weights)

        for _ in range(3):
            strategy.run(step)
        return values(weights)

    ends = [end(tf.distribute.get_strategy()), end(tf.distribute.MirroredStrategy(["/cpu:0"]))]
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@TENSORFLOW
@EVERY
def test_tensorflows_checkpoint_takes_the_optimizer(optimizer_class, tmp_path):
    import tensorflow as tf

    weights = few()
    optimizer = optimizer_class(0.1, layer_decay=0.9)
    optimizer.apply(random_gradients(weights), weights)
    saved = values(optimizer.variables)
    path = tf.train.Checkpoint(optimizer=optimizer).write(str(tmp_path / "state"))
    optimizer.apply(random_gradients(weights), weights)
    tf.train.Checkpoint(optimizer=optimizer).read(path).assert_consumed()
    for ours, theirs in zip(values(optimizer.variables), saved, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@EVERY
@pytest.mark.parametrize(("settings", "message"), [
    ({"layer_decay": 0.0}, "layer_decay=0.0"),
    ({"layer_decay": 1.1}, "layer_decay=1.1"),
    ({"layer_decay": float("nan")}, "layer_decay=nan"),
    ({"not_decayed": ["("]}, r"`not_decayed` must hold regular expressions. Received: '\('"),
    ({"not_decayed": [3]}, "`not_decayed` must hold regular expressions. Received: 3"),
])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(optimizer_class, settings, message):
    with pytest.raises(ValueError, match=message):
        optimizer_class(**settings)


@EVERY
def test_a_single_pattern_may_be_given_as_a_string(optimizer_class):
    assert optimizer_class(not_decayed="bias$").not_decayed == ("bias$",)


@EVERY
def test_layer_decay_without_layers_is_refused(optimizer_class):
    with pytest.raises(ValueError, match="block_0/, block_1/.*Received: /kernel"):
        optimizer_class(layer_decay=0.9).build([keras.Variable(np.ones(2, "float32"), name="kernel")])


@EVERY
def test_exclusions_that_would_be_lost_on_saving_are_refused(optimizer_class):
    with pytest.raises(ValueError, match=r"not_decayed=\[\.\.\.\]"):
        optimizer_class().exclude_from_weight_decay(var_names=["bias"])
