"""How much arithmetic a training step is, counted from the shape alone."""


def flops_per_example(config, length, num_predictions, next_sentence=True) -> int:
    """Floating-point operations of one example of a pretraining step, its matrix products alone.

    A product of (m, k) and (k, n) is 2 m k n operations. Forward, with the letters of `layers/__init__.py`,
    L blocks, T = S = `length`, M = `num_predictions` and E the width of the embedding tables:

        query, key, value     2 T D 3D                          projection of factorised embeddings, where
        scores                2 T S D         (N heads of H)      E is not D:  2 T E D
        mix                   2 T S D                           masked-LM transform        2 M D E
        output                2 T D D                           vocabulary projection      2 M E V
        feed-forward          2 T D F, twice                    pooler 2 D D, next sentence 2 D 2
          ... times L

    Backward is two such products for each one forward (to the inputs, and to the weights or the other
    factor), so a step is 3 times that. What is not a product of matrices (softmax, normalisation, dropout,
    optimizer) is not counted, nor is anything that is computed again to save memory: the figure tells how
    well the hardware is used, and is the same for every way to compute it.

    Args:
        config: BertConfig.
        length: int. Pieces T of a row as computed, padding included. Attention grows with its square: for
            batches of several lengths take the mean over the lengths of the result.
        num_predictions: int. Slots M of a row that go through the masked-LM head, unused ones included; 0
            without masked LM.
        next_sentence: bool. Whether pooler and next-sentence head are trained.
    Returns:
        int.
    """
    t, m, d, e = length, num_predictions, config.hidden_dim, config.embedding_width
    attention = 2 * t * d * 3 * d + 2 * (2 * t * t * d) + 2 * t * d * d
    feed_forward = 2 * (2 * t * d * config.intermediate_dim)
    forward = config.num_layers * (attention + feed_forward)
    if e != d:
        forward += 2 * t * e * d
    forward += 2 * m * d * e + 2 * m * e * config.vocabulary_size
    if next_sentence:
        forward += 2 * d * d + 2 * d * 2
    return 3 * forward
