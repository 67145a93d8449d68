"""Makes the layouts of TensorFlow's Model Garden: object-based checkpoints, and the SavedModel of TF-Hub.

Environment: Python 3.10, of its own, never this project's:

    pip install tensorflow==2.15.1 tensorflow-text==2.15.0 tensorflow-hub==0.16.1 "tf-keras<2.16" gin-config \
        pyyaml sentencepiece tensorflow-model-optimization tf-slim absl-py six pandas scipy
    pip install tensorflow-datasets==4.9.4 tensorflow-metadata==1.14.0 scikit-learn seqeval sacrebleu
    pip install --no-deps tf-models-official==2.15.0
    python make_layouts_model_garden.py

`saved_model.pb` is kept without its functions (half a megabyte of graph, and the paths of the machine that
traced them); what it says of variables, assets and signatures is as exported.
"""

import json
import os
import pathlib
import tempfile

import layout_shape as shape
import numpy as np
import tensorflow as tf
from official.core import exp_factory, task_factory
from official.legacy.bert import configs
from official.modeling import hyperparams
from official.nlp.configs import finetuning_experiments, pretraining_experiments  # noqa: F401 (they register)
from official.nlp.modeling import networks
from official.nlp.tools import export_tfhub_lib
from tensorflow.core.protobuf import saved_model_pb2


def features():
    """Our inputs with their names."""
    arrays = shape.inputs()
    return {
        "input_word_ids": tf.constant(arrays["token_ids"]),
        "input_mask": tf.constant(arrays["padding_mask"]),
        "input_type_ids": tf.constant(arrays["segment_ids"]),
    }


def every_position():
    """All positions, for heads that compute the logits of given positions only."""
    rows, length = shape.inputs()["token_ids"].shape
    return {"masked_lm_positions": tf.constant(np.tile(np.arange(length, dtype="int32"), (rows, 1)))}


def disturb(model, seed):
    """Seeded noise in every weight."""
    rng = np.random.default_rng(seed)
    model.set_weights([shape.disturbed(rng, weight) for weight in model.get_weights()])


def encoder_outputs(encoder):
    """What the .npz holds of every encoder."""
    found = encoder(features())
    return {key: found[key].numpy() for key in ("sequence_output", "pooled_output")}


def published():
    """As the Garden publishes BERT for TensorFlow 2: `bert_model.ckpt` of an encoder."""
    encoder = export_tfhub_lib.get_bert_encoder(configs.BertConfig.from_dict(shape.CONFIG))
    disturb(encoder, 500)
    folder = shape.new_folder("model_garden")
    tf.train.Checkpoint(model=encoder).write(str(folder / "bert_model.ckpt"))
    (folder / "bert_config.json").write_text(json.dumps(shape.CONFIG, indent=2) + "\n")
    shape.write_vocabulary(folder)
    shape.write_golden(folder.name, shape.inputs(), encoder_outputs(encoder))


def experiment(name, seed, **model):
    """A folder as the Garden's trainer leaves it: `ckpt-N` of model and step, and `params.yaml`."""
    params = exp_factory.get_exp_config(name)
    bert = {
        "vocab_size": shape.CONFIG["vocab_size"],
        "hidden_size": shape.CONFIG["hidden_size"],
        "num_layers": 1,
        "num_attention_heads": shape.CONFIG["num_attention_heads"],
        "intermediate_size": shape.CONFIG["intermediate_size"],
        "max_position_embeddings": shape.CONFIG["max_position_embeddings"],
        "type_vocab_size": shape.CONFIG["type_vocab_size"],
        "initializer_range": shape.CONFIG["initializer_range"],
    }
    params.override(
        {"task": {"model": {"encoder": {"type": "bert", "bert": bert}, **model}}}, is_strict=False
    )
    trained = task_factory.get_task(params.task).build_model()
    trained({**features(), **every_position()} if "cls_heads" in model else features())
    disturb(trained, seed)
    return params, trained


def write_experiment(name, params, trained, found, **more):
    """Checkpoint, parameters and vocabulary of a trained experiment, and the .npz."""
    folder = shape.new_folder(name)
    step = tf.Variable(100, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(model=trained, global_step=step, **more)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1, step_counter=step)
    manager.save(checkpoint_number=100)
    hyperparams.save_params_dict_to_yaml(params, str(folder / "params.yaml"))
    shape.write_vocabulary(folder)
    shape.write_golden(name, shape.inputs(), found)


def pretraining():
    """The trainer's output of the experiment `bert/pretraining`, next sentence and masked LM."""
    head = {
        "name": "next_sentence",
        "inner_dim": shape.CONFIG["hidden_size"],
        "num_classes": 2,
        "dropout_rate": 0.1,
    }
    params, trained = experiment("bert/pretraining", 501, cls_heads=[head])
    answer = trained({**features(), **every_position()})
    found = {
        **encoder_outputs(trained.encoder_network),
        "mlm_logits": answer["mlm_logits"].numpy(),
        "nsp_logits": answer["next_sentence"].numpy(),
    }
    write_experiment("model_garden_pretraining", params, trained, found)


def classifier():
    """The trainer's output of the experiment `bert/sentence_prediction`."""
    params, trained = experiment("bert/sentence_prediction", 502, num_classes=len(shape.LABELS))
    [encoder] = [layer for layer in trained.layers if isinstance(layer, networks.BertEncoder)]
    found = {**encoder_outputs(encoder), "logits": trained(features()).numpy()}
    optimizer = tf.keras.optimizers.Adam()
    optimizer.build(trained.trainable_variables[-2:])  # all of them would double the file
    write_experiment("model_garden_classifier", params, trained, found, optimizer=optimizer)


def without_functions(path):
    """Takes the graph out of a saved_model.pb, and leaves its objects and the names of its signatures."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        graph.graph_def.ClearField("node")
        graph.graph_def.ClearField("library")
        graph.meta_info_def.ClearField("stripped_op_list")
        graph.object_graph_def.ClearField("concrete_functions")
        for node in graph.object_graph_def.nodes:
            if node.WhichOneof("kind") not in ("variable", "asset"):
                node.Clear()
    path.write_bytes(model.SerializeToString(deterministic=True))


def hub():
    """The encoder API of TF-Hub, version 3 and later, with its `.mlm`, by the Garden's own exporter."""
    config = configs.BertConfig.from_dict({**shape.CONFIG, **shape.SHORT})
    core, pretrainer = export_tfhub_lib._create_model(bert_config=config, with_mlm=True)
    disturb(pretrainer, 503)
    folder = shape.new_folder("tf_hub")
    with tempfile.TemporaryDirectory() as temporary:
        checkpoint = tf.train.Checkpoint(**pretrainer.checkpoint_items)
        shape.write_vocabulary(pathlib.Path(temporary))
        export_tfhub_lib.export_model(
            str(folder),
            bert_config=config,
            model_checkpoint_path=checkpoint.save(os.path.join(temporary, "model.ckpt")),
            with_mlm=True,
            vocab_file=os.path.join(temporary, "vocab.txt"),
            do_lower_case=True,
        )
    loaded = tf.saved_model.load(str(folder))
    answer = loaded.mlm({**features(), **every_position()})
    names = ("sequence_output", "pooled_output", "mlm_logits")
    found = {name: answer[name].numpy() for name in names}
    without_functions(folder / "saved_model.pb")
    (
        folder / "keras_metadata.pb"
    ).unlink()  # for Keras 2 only; large, and absent from what older Kerases wrote
    shape.write_golden(folder.name, shape.inputs(), found)


if __name__ == "__main__":
    for layout in (published, pretraining, classifier, hub):
        layout()
