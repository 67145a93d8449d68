"""Rewrites a checkpoint of any known kind as a Hugging Face folder, a TensorFlow 1 checkpoint or a preset.

--format=huggingface writes config.json, model.safetensors and vocab.txt, which transformers and kb.load open;
google writes bert_config.json, bert_model.ckpt and vocab.txt; keras_hub a preset of keras-hub. Heads go along
where the format has a place for them. Every tensor keeps its bits.
"""

from absl import flags

from keras_bert.cli import options

REQUIRED = ("model_dir", "output_dir")
FORMATS = ("huggingface", "google", "keras_hub")


def define(values):
    """The flags of `convert`."""
    options.define_model(values)
    flags.DEFINE_string("output_dir", None, "folder to write", flag_values=values)
    flags.DEFINE_enum("format", "huggingface", FORMATS, "what to write", flag_values=values)
    flags.DEFINE_string(
        "activation",
        None,
        "gelu (erf) or gelu_approximate (tanh), where the checkpoint does not say which it means",
        flag_values=values,
    )


def run(values, positional):
    """Reads, writes, says what."""
    options.start_tensorflow()
    from keras_bert.loading import load

    bert = load(values.model_dir, lowercase=values.do_lower_case, activation=values.activation)
    bert.save(values.output_dir, format=values.format)
    head = bert.head or (bert.task and bert.task.name) or "no head"
    print(f"{values.output_dir}: {values.format}, {len(bert.weights())} weights, {head}")
