"""Makes the layouts of Google's original code, TensorFlow 1.15: pretrained, and fine-tuned.

Environment: Python 3.7, of its own, never this project's:

    pip install tensorflow==1.15.5 "protobuf<3.21" bert-tensorflow==1.0.1
    python make_layouts_google_tf1.py

The graphs are those of its run_pretraining.py, run_classifier.py and run_squad.py. Left out is the `.meta`
file, which holds a graph (200 KB) and no weight.
"""

import json
import re

import layout_shape as shape
import numpy as np
import tensorflow as tf
from absl import flags

FEATURES = ("token_ids", "padding_mask", "segment_ids")


def script(name):
    """One of Google's scripts; each defines the same flags again, which absl refuses."""
    for flag in [flag for flag in flags.FLAGS if flag not in ("help", "h", "helpfull", "helpshort")]:
        delattr(flags.FLAGS, flag)
    return __import__("bert." + name, fromlist=[name])


def bert_config(**more):
    """Google's BertConfig of our shape, and the dict that `bert_config.json` holds."""
    from bert import modeling

    values = dict(shape.CONFIG, **more)
    return modeling.BertConfig.from_dict(values), values


def constants():
    """The inputs in the order of Google's functions: ids, mask, segments."""
    return [tf.constant(shape.inputs()[name]) for name in FEATURES]


def disturb(session, seed):
    """Seeded noise in every variable, in the order of their names."""
    rng = np.random.default_rng(seed)
    for variable in sorted(tf.trainable_variables(), key=lambda v: v.name):
        variable.load(shape.disturbed(rng, session.run(variable)), session)


def encoder_outputs():
    """The tensors of Google's graph that are the encoder's two outputs."""
    names = [operation.name for operation in tf.get_default_graph().get_operations()]
    reshapes = [name for name in names if re.match(r"bert/encoder/Reshape_\d+$", name)]
    last = max(reshapes, key=lambda name: int(name.split("_")[-1]))  # one for every block's output
    found = {"sequence_output": last, "pooled_output": "bert/pooler/dense/Tanh"}
    return {key: tf.get_default_graph().get_tensor_by_name(name + ":0") for key, name in found.items()}


def write_files(folder, values):
    """`bert_config.json` and `vocab.txt`."""
    (folder / "bert_config.json").write_text(json.dumps(values, indent=2) + "\n")
    shape.write_vocabulary(folder)


def pretrained():
    """As Google publishes one: with the weights of both pretraining heads."""
    run_pretraining = script("run_pretraining")
    from bert import modeling

    config, values = bert_config()
    ids, mask, segments = constants()
    rows, length = shape.inputs()["token_ids"].shape
    model = modeling.BertModel(config, False, ids, mask, segments, use_one_hot_embeddings=False)
    positions = tf.constant(np.tile(np.arange(length, dtype="int32"), (rows, 1)))
    run_pretraining.get_masked_lm_output(
        config, model.get_sequence_output(), model.get_embedding_table(), positions, ids, tf.ones(ids.shape)
    )
    run_pretraining.get_next_sentence_output(config, model.get_pooled_output(), tf.zeros([rows], tf.int32))
    graph = tf.get_default_graph()
    wanted = {
        "sequence_output": model.get_sequence_output(),
        "pooled_output": model.get_pooled_output(),
        "mlm_logits": tf.reshape(
            graph.get_tensor_by_name("cls/predictions/BiasAdd:0"), [rows, length, len(shape.PIECES)]
        ),
        "nsp_logits": graph.get_tensor_by_name("cls/seq_relationship/BiasAdd:0"),
    }
    folder = shape.new_folder("google_tf1_pretrained")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        disturb(session, 200)
        saver = tf.train.Saver(tf.global_variables())
        saver.save(
            session, str(folder / "bert_model.ckpt"), write_meta_graph=False, write_state=False
        )  # what Google published has no file `checkpoint`
        found = session.run(wanted)
    write_files(folder, values)
    shape.write_golden(folder.name, shape.inputs(), found)


def fine_tuned(name, build, seed, trained_in):
    """As Google's scripts leave their output_dir after three steps: Adam's moments, the step.

    The file `checkpoint` names the weights in the folder `trained_in`, which is not here any more.
    `build(config, is_training)` gives (loss or None, name of the head's outputs to tensors).
    """
    config, values = bert_config(**shape.SHORT)
    folder = shape.new_folder(name)
    optimization = script("optimization")
    loss, _ = build(config, True)
    train = optimization.create_optimizer(loss, 0.01, num_train_steps=10, num_warmup_steps=0, use_tpu=False)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        disturb(session, seed)
        saver = tf.train.Saver(tf.global_variables(), max_to_keep=1)
        for _ in range(3):
            session.run(train)
        saver.save(session, str(folder / "model.ckpt"), global_step=3, write_meta_graph=False)
    tf.reset_default_graph()
    _, wanted = build(config, False)
    with tf.Session() as session:
        tf.train.Saver(tf.trainable_variables()).restore(session, tf.train.latest_checkpoint(str(folder)))
        found = session.run(dict(encoder_outputs(), **wanted))
    state = folder / "checkpoint"
    state.write_text(state.read_text().replace(str(folder) + "/", trained_in))
    write_files(folder, values)
    shape.write_golden(folder.name, shape.inputs(), found)


def classifier(config, is_training):
    """The graph of run_classifier.py."""
    labels = tf.constant([0, 2])
    loss, _, logits, _ = script("run_classifier").create_model(
        config, is_training, *constants(), labels=labels, num_labels=len(shape.LABELS),
        use_one_hot_embeddings=False,
    )  # fmt: skip
    return loss, {"logits": logits}


def squad(config, is_training):
    """The graph of run_squad.py."""
    ids, mask, segments = constants()
    start, end = script("run_squad").create_model(config, is_training, ids, mask, segments, False)
    losses = [tf.losses.sparse_softmax_cross_entropy(tf.constant([1, 3]), logits) for logits in (start, end)]
    return sum(losses), {"start_logits": start, "end_logits": end}


if __name__ == "__main__":
    tf.logging.set_verbosity(tf.logging.ERROR)
    pretrained()
    runs = (
        ("google_tf1_classifier", classifier, ""),
        ("google_tf1_squad", squad, "/data/old-machine/squad/"),
    )
    for number, (layout, graph_of, trained_in) in enumerate(runs):
        tf.reset_default_graph()
        tf.set_random_seed(number)
        fine_tuned(layout, graph_of, 210 + number, trained_in)
