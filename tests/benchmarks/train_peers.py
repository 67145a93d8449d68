"""The peers of train.py, each the way its own users train: `python train_peers.py KIND POLICY FOLDER`.

KIND is tf-models, keras-hub or torch, POLICY float32, bfloat16 or float32+xla. Needs no keras_bert: the
weights come from FOLDER/model/model.safetensors (Hugging Face's names), the batch from FOLDER/batch.npz.
`loss` answers the loss without dropout, `seconds` those of a step.
"""

import json
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import side_by_side

LEARNING_RATE, DECAY = 1e-4, 0.01
# Parts of a variable's name in tf-models and in keras-hub -> part of the tensor's in Hugging Face's folder.
NAMES = (
    (r"(word_embeddings|token_embedding)/embeddings", "bert.embeddings.word_embeddings.weight"),
    (r"position_embedding/embeddings", "bert.embeddings.position_embeddings.weight"),
    (r"(type_embeddings|segment_embedding)/embeddings", "bert.embeddings.token_type_embeddings.weight"),
    (r"embeddings(/|_)layer_norm", "bert.embeddings.LayerNorm"),
    (r"next_sentence/pooler_dense|pooled_dense", "bert.pooler.dense"),
    (r"next_sentence/logits|nsp", "cls.seq_relationship"),
    (r"cls/predictions/output_bias/bias|mlm_head/output_bias", "cls.predictions.bias"),
    (r"cls/predictions/transform/dense|mlm_head/(intermediate_)?dense", "cls.predictions.transform.dense"),
    (
        r"cls/predictions/transform/LayerNorm|mlm_head/(intermediate_)?layer_norm",
        "cls.predictions.transform.LayerNorm",
    ),
    (r"self_attention(_layer)?/(query|key|value)", r"attention.self.\2"),
    (r"self_attention(_layer)?/attention_output", "attention.output.dense"),
    (r"self_attention_layer_norm", "attention.output.LayerNorm"),
    (r"(feedforward_)?intermediate(_dense)?/", "intermediate.dense/"),
    (r"(feedforward_output_dense|output)/", "output.dense/"),
    (r"(feedforward|output)_layer_norm", "output.LayerNorm"),
)


def weights_of(folder):
    """{tensor name: array} of a safetensors file of float32."""
    data = pathlib.Path(folder, "model", "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    return {
        name: np.frombuffer(data[8 + size :][slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def assign(variables, weights):
    """Gives every variable (path, variable) its tensor, turned as Keras holds it."""
    for path, variable in variables:
        layer = re.search(r"layer_(\d+)/", path)
        for pattern, name in NAMES:
            found = re.search(pattern, path)
            if found:
                path = path[found.start() :]
                name = re.sub(pattern, name, path, count=1).split(":")[0]
                break
        else:
            raise KeyError(path)
        name = name.replace("/", ".").replace("kernel", "weight").replace("gamma", "weight")
        name = name.replace("beta", "bias")
        if layer:
            name = f"bert.encoder.layer.{layer[1]}.{name}"
        value = weights[name]
        if "kernel" in path:
            value = value.T
        variable.assign(value.reshape(variable.shape))


def tf_models(policy, folder, shape, batch):
    """Google's own task, its train step in a function of its own, as its trainer runs it."""
    import tensorflow as tf
    import tf_keras
    from official.modeling import optimization
    from official.nlp.configs import bert, encoders
    from official.nlp.data import pretrain_dataloader
    from official.nlp.tasks import masked_lm

    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16" if policy == "bfloat16" else "float32")
    encoder = encoders.BertEncoderConfig(
        vocab_size=shape["vocab_size"], hidden_size=shape["hidden_size"],
        num_layers=shape["num_hidden_layers"], num_attention_heads=shape["num_attention_heads"],
        intermediate_size=shape["intermediate_size"],
    )  # fmt: skip
    head = bert.ClsHeadConfig(
        inner_dim=shape["hidden_size"], num_classes=2, dropout_rate=0.1, name="next_sentence"
    )
    config = bert.PretrainerConfig(
        encoder=encoders.EncoderConfig(type="bert", bert=encoder), cls_heads=[head]
    )
    task = masked_lm.MaskedLMTask(masked_lm.MaskedLMConfig(model=config))
    task.task_config.train_data = pretrain_dataloader.BertPretrainDataConfig(use_next_sentence_label=True)
    model, metrics = task.build_model(), task.build_metrics(training=True)
    excluded = ["LayerNorm", "layer_norm", "bias"]
    adamw = {"weight_decay_rate": DECAY, "exclude_from_weight_decay": excluded, "gradient_clip_norm": 1.0}
    factory = optimization.OptimizerFactory(optimization.OptimizationConfig({
        "optimizer": {"type": "adamw", "adamw": adamw},
        "learning_rate": {"type": "constant", "constant": {"learning_rate": LEARNING_RATE}},
    }))  # fmt: skip
    optimizer = factory.build_optimizer(factory.build_learning_rate())
    x = {
        "input_word_ids": batch["token_ids"], "input_type_ids": batch["segment_ids"],
        "input_mask": batch["padding_mask"], "masked_lm_positions": batch["mask_positions"],
        "masked_lm_ids": batch["mask_ids"], "masked_lm_weights": batch["mask_weights"],
        "next_sentence_labels": batch["next_sentence_label"][:, None],
    }  # fmt: skip
    model(x)
    unused = "pooler_transform"  # the encoder's pooler, which Google's pretraining head leaves alone
    assign([(v.name, v) for v in model.variables if unused not in v.name], weights_of(folder))
    data = iter(tf.data.Dataset.from_tensors(x).cache().repeat().prefetch(2))

    @tf.function
    def step():
        return task.train_step(next(data), model, optimizer, metrics)

    def loss():
        return float(task.build_losses(x, model(x, training=False), metrics))

    return loss, lambda: [float(value) for value in step().values()]


def keras_hub(policy, folder, shape, batch):
    """Its backbone and its head; the pretraining of both objectives is composed, because it has none."""
    import keras
    import keras_hub

    keras.config.set_dtype_policy("mixed_bfloat16" if policy == "bfloat16" else "float32")
    backbone = keras_hub.models.BertBackbone(
        shape["vocab_size"], shape["num_hidden_layers"], shape["num_attention_heads"], shape["hidden_size"],
        shape["intermediate_size"],
    )  # fmt: skip
    head = keras_hub.layers.MaskedLMHead(
        token_embedding=backbone.token_embedding, layer_norm_epsilon=1e-12, name="mlm_head",
        intermediate_activation=lambda x: keras.activations.gelu(x, approximate=True),
    )  # fmt: skip
    places = keras.Input((None,), dtype="int32", name="mask_positions")
    outputs = {
        "mlm": head(backbone.output["sequence_output"], mask_positions=places),
        "nsp": keras.layers.Dense(2, name="nsp")(backbone.output["pooled_output"]),
    }
    model = keras.Model({**backbone.input, "mask_positions": places}, outputs)
    variables = [(v.path, v) for v in model.variables if "seed_generator" not in v.path]
    assign(variables, weights_of(folder))
    optimizer = keras.optimizers.AdamW(LEARNING_RATE, weight_decay=DECAY, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, {"mlm": loss, "nsp": loss}, metrics={"mlm": ["accuracy"], "nsp": ["accuracy"]},
                  jit_compile=policy.endswith("xla"))  # fmt: skip
    x = {name: batch[name] for name in ("token_ids", "segment_ids", "padding_mask", "mask_positions")}
    y = {"mlm": batch["mask_ids"], "nsp": batch["next_sentence_label"]}

    def without_dropout():
        return float(
            model.evaluate(x, y, batch_size=len(batch["token_ids"]), verbose=0, return_dict=True)["loss"]
        )

    return without_dropout, _keras_step(model, (x, y))


def _keras_step(model, data):
    import tensorflow as tf

    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(data).cache().repeat().prefetch(2))
    return lambda: [np.asarray(v) for v in tf.nest.flatten(model.train_function(batches))]


def torch(policy, folder, shape, batch):
    """Hugging Face's model, torch's AdamW; bfloat16 is autocast."""
    import torch
    import transformers

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = transformers.BertForPreTraining.from_pretrained(pathlib.Path(folder, "model"))
    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, eps=1e-6, fused=True)
    labels = np.full(batch["token_ids"].shape, -100)
    np.put_along_axis(labels, batch["mask_positions"], batch["mask_ids"], axis=1)
    x = {"input_ids": batch["token_ids"], "token_type_ids": batch["segment_ids"],
         "attention_mask": batch["padding_mask"], "labels": labels,
         "next_sentence_label": batch["next_sentence_label"]}  # fmt: skip
    x = {name: torch.tensor(value.astype("int64")) for name, value in x.items()}

    def loss():
        with torch.autocast("cpu", torch.bfloat16, enabled=policy == "bfloat16"):
            return model(**x).loss

    def step():
        value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(value)

    def without_dropout():
        model.eval()
        with torch.no_grad():
            value = float(loss())
        model.train()
        return value

    return without_dropout, step


def main(kind, policy, folder):
    shape = json.loads(pathlib.Path(folder, "model", "config.json").read_text())
    batch = dict(np.load(pathlib.Path(folder, "batch.npz")))
    peer = {"tf-models": tf_models, "keras-hub": keras_hub, "torch": torch}[kind]
    loss, step = peer(policy, folder, shape, batch)
    side_by_side.serve(loss=lambda _: loss(), seconds=lambda count: side_by_side.timed(step, count))


if __name__ == "__main__":
    main(*sys.argv[1:])
