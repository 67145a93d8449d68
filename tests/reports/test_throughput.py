"""The arithmetic of a training step, against the matrix products of the traced graph and a count by hand."""

import pytest

from keras_bert.config import BertConfig
from keras_bert.reports.throughput import flops_per_example

LENGTH, SLOTS, BATCH = 24, 5, 3
SMALL = BertConfig(101, 3, 4, 32, 72, max_sequence_length=40, dropout=0.0, attention_dropout=0.0)


def test_bert_base_as_counted_by_hand():
    # T = 128, 20 of them masked. 12 blocks, each of 4 matrices (768, 768) and 2 of (768, 3072).
    blocks = 6 * 84_934_656 * 128  # the rule of thumb: 6 operations a weight and token
    attention = 1_811_939_328  # 3 x 12 x (scores and mix: 2 x 2 x 128 x 128 x 768)
    heads = 2_883_686_400 + 3_538_944 + 9_216  # masked LM, pooler, next sentence
    assert blocks == 65_229_815_808
    assert flops_per_example(BertConfig.preset("base"), 128, 20) == blocks + attention + heads


@pytest.mark.parametrize("next_sentence", [True, False])
@pytest.mark.parametrize("embedding_dim", [None, 16])
def test_the_traced_forward_pass_has_a_third_of_it(next_sentence, embedding_dim):
    config = SMALL.replace(embedding_dim=embedding_dim)
    counted = products_of(forward_graph(config, SLOTS, next_sentence))
    assert 3 * counted == BATCH * flops_per_example(config, LENGTH, SLOTS, next_sentence)


def test_no_masked_lm_has_no_vocabulary_projection():
    difference = flops_per_example(SMALL, LENGTH, SLOTS) - flops_per_example(SMALL, LENGTH, 0)
    assert difference == 3 * 2 * SLOTS * 32 * (32 + 101)


def forward_graph(config, slots, next_sentence):
    """The graph of the pretraining model for rows of LENGTH."""
    tf = pytest.importorskip("tensorflow")
    from keras_bert import heads
    from keras_bert.encoder import bert_encoder

    encoder = bert_encoder(config)
    head = heads.pretraining if next_sentence else heads.masked_lm
    model = head(encoder, config, mask_positions=True)
    names = ("token_ids", "segment_ids", "padding_mask")
    inputs = dict.fromkeys(names, tf.TensorSpec((BATCH, LENGTH), tf.int32))
    inputs["mask_positions"] = tf.TensorSpec((BATCH, slots), tf.int32)
    return tf.function(lambda x: model(x, training=True)).get_concrete_function(inputs).graph


def products_of(graph) -> int:
    """Operations of all matrix products of a graph whose shapes are known: 2 x result x inner dimension."""
    inner_functions = (function.graph for function in graph._functions.values() if hasattr(function, "graph"))
    operations = (op for part in (graph, *inner_functions) for op in part.get_operations())
    total = 0
    for op in operations:
        if op.type in ("MatMul", "BatchMatMulV2"):
            turned = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
            total += 2 * op.outputs[0].shape.num_elements() * op.inputs[0].shape[-2 if turned else -1]
    return total
