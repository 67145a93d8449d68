"""Makes the layouts of older PyTorch: `pytorch_model.bin` of three eras, relative positions, an old encoder.

Environment: Python 3.11, of its own, never this project's:

    pip install torch==2.13.0 transformers==4.30.2 "numpy<2" "setuptools<80" scikit-learn scipy nltk pillow \
        sentencepiece psutil boto3
    pip install --no-deps pytorch-pretrained-bert==0.1.2 sentence-transformers==2.2.2 accelerate==0.20.3
    python make_layouts_transformers4_torch.py
"""

import json
import pathlib
import tempfile

import layout_shape as shape
import numpy as np
import torch
import transformers

NAMED = {**shape.SHORT, **shape.LABEL_KEYS}


def disturb(model, seed):
    """The model with seeded noise in every parameter, in evaluation mode."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(shape.disturbed(rng, parameter.numpy())))
    return model.eval()


def new_model(name, more, seed):
    """A model of transformers of the class `name`, disturbed."""
    torch.manual_seed(seed)
    config = transformers.BertConfig(**{**shape.CONFIG, **more})
    return disturb(getattr(transformers, name)(config), seed)


def tensors():
    """Our inputs in the order of their arguments: ids, mask, segments."""
    return [
        torch.from_numpy(shape.inputs()[name]).long() for name in ("token_ids", "padding_mask", "segment_ids")
    ]


def outputs(model, names):
    """The encoder's outputs, and the head's under the names given (their name to ours)."""
    with torch.no_grad():
        states = getattr(model, "bert", model)(*tensors())
        found = {"sequence_output": states.last_hidden_state}
        if states.pooler_output is not None:
            found["pooled_output"] = states.pooler_output
        answer = model(*tensors())
        found.update({ours: answer[theirs] for theirs, ours in names.items()})
    return {key: value.numpy() for key, value in found.items()}


def tokenizer():
    """Their tokenizer of our vocabulary."""
    with tempfile.TemporaryDirectory() as temporary:
        shape.write_vocabulary(pathlib.Path(temporary))
        return transformers.BertTokenizer.from_pretrained(temporary)


def write(name, model, names, **options):
    """One layout and its .npz."""
    folder = shape.new_folder(name)
    model.save_pretrained(folder, **options)
    tokenizer().save_pretrained(folder)
    shape.clean_json(folder)
    shape.write_golden(name, shape.inputs(), outputs(model, names))
    return folder


def trainer_output():
    """What Trainer leaves: `pytorch_model.bin` with the buffer `position_ids`, and a pickle beside it."""
    model = new_model("BertForSequenceClassification", NAMED, 400)
    assert "bert.embeddings.position_ids" in model.state_dict()
    folder = write("hf4_bin", model, {"logits": "logits"})
    arguments = transformers.TrainingArguments("output", no_cuda=True, logging_dir="output/runs")
    torch.save(arguments, folder / "training_args.bin")
    shape.check_no_machine_paths(folder.name)


def sharded():
    """`pytorch_model.bin.index.json` and its parts."""
    model = new_model("BertForQuestionAnswering", shape.SHORT, 401)
    names = {"start_logits": "start_logits", "end_logits": "end_logits"}
    folder = write("hf4_bin_sharded", model, names, max_shard_size="4KB")
    assert len(list(folder.glob("*.bin"))) > 1


def relative():
    """Positions that enter the attention scores instead of being added to the embeddings."""
    more = {**shape.SHORT, "position_embedding_type": "relative_key_query"}
    write("hf4_relative_positions", new_model("BertModel", more, 402), {}, safe_serialization=True)


def first_release():
    """As in 2018: Google's `gamma` and `beta`, `bert_config.json`, and torch's format of before 1.6."""
    import pytorch_pretrained_bert

    config = pytorch_pretrained_bert.BertConfig(
        shape.CONFIG["vocab_size"],
        **{key: value for key, value in {**shape.CONFIG, **shape.SHORT}.items() if key != "vocab_size"},
    )
    torch.manual_seed(403)
    model = disturb(pytorch_pretrained_bert.BertForPreTraining(config), 403)
    assert "bert.embeddings.LayerNorm.gamma" in model.state_dict()
    folder = shape.new_folder("pytorch_pretrained_bert")
    torch.save(
        model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False
    )  # the only way of its time
    (folder / "bert_config.json").write_text(config.to_json_string())
    shape.write_vocabulary(folder)
    ids, mask, segments = tensors()
    with torch.no_grad():
        layers, pooled = model.bert(ids, segments, mask)
        mlm_logits, nsp_logits = model(ids, segments, mask)
    found = {
        "sequence_output": layers[-1],
        "pooled_output": pooled,
        "mlm_logits": mlm_logits,
        "nsp_logits": nsp_logits,
    }
    shape.write_golden(folder.name, shape.inputs(), found)


def sentence_transformer():
    """sentence-transformers as most of its models lie on the hub: `pytorch_model.bin`, mean pooling."""
    import sentence_transformers
    from sentence_transformers import models

    bert = new_model("BertModel", shape.SHORT, 404)
    folder = shape.new_folder("sentence_transformers_2")
    with tempfile.TemporaryDirectory() as temporary:
        bert.save_pretrained(temporary)
        tokenizer().save_pretrained(temporary)
        word = models.Transformer(temporary, max_seq_length=20)
        pooling = models.Pooling(word.get_word_embedding_dimension())
        model = sentence_transformers.SentenceTransformer(modules=[word, pooling], device="cpu")
        model.save(str(folder), create_model_card=False)
    shape.clean_json(folder)
    ids, mask, segments = tensors()
    with torch.no_grad():
        answer = model({"input_ids": ids, "attention_mask": mask, "token_type_ids": segments})
    embedding = answer["sentence_embedding"].numpy()
    shape.write_golden(folder.name, shape.inputs(), {**outputs(bert, {}), "embedding": embedding})
    assert json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"] == 20


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for group in (trainer_output, sharded, relative, first_release, sentence_transformer):
        group()
