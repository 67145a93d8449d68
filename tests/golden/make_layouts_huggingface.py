"""Makes the layouts of transformers 5: every class of BERT, and every way its weights lie on a disk.

Environment: Python 3.11, of its own, never this project's:

    pip install torch==2.13.0 transformers==5.23.0 sentence-transformers
    python make_layouts_huggingface.py

`hf5_cache` is written by huggingface_hub itself, from a server of four files on the local host.
"""

import hashlib
import http.server
import os
import pathlib
import shutil
import sys
import tempfile
import threading

import layout_shape as shape
import numpy as np
import torch
import transformers

NAMED = shape.LABEL_KEYS
HEADS = {  # layout: class, more of its config
    "hf5_bert_model": ("BertModel", {}),
    "hf5_pretraining": ("BertForPreTraining", shape.SHORT),
    "hf5_masked_lm": ("BertForMaskedLM", shape.SHORT),
    "hf5_masked_lm_untied": ("BertForMaskedLM", {**shape.SHORT, "tie_word_embeddings": False}),
    "hf5_next_sentence": ("BertForNextSentencePrediction", shape.SHORT),
    "hf5_classification": ("BertForSequenceClassification", NAMED),
    "hf5_multi_label": (
        "BertForSequenceClassification",
        {**shape.SHORT, **NAMED, "problem_type": "multi_label_classification"},
    ),
    "hf5_regression": (
        "BertForSequenceClassification",
        {**shape.SHORT, "num_labels": 1, "problem_type": "regression"},
    ),
    "hf5_tagging": ("BertForTokenClassification", {**shape.SHORT, **NAMED}),
    "hf5_question_answering": ("BertForQuestionAnswering", shape.SHORT),
    "hf5_multiple_choice": ("BertForMultipleChoice", shape.SHORT),
}
WITH_TOKENIZER = (
    "hf5_bert_model",
    "hf5_classification",
)  # the others have the bare vocab.txt, as on many hubs
LOGITS = {  # class: their output to its name in the .npz; elsewhere `logits` stays `logits`
    "BertForPreTraining": {"prediction_logits": "mlm_logits", "seq_relationship_logits": "nsp_logits"},
    "BertForMaskedLM": {"logits": "mlm_logits"},
    "BertForNextSentencePrediction": {"logits": "nsp_logits"},
    "BertForQuestionAnswering": {"start_logits": "start_logits", "end_logits": "end_logits"},
    "BertModel": {},
}


def new_model(name, more, seed=0):
    """A model of the class `name` with seeded noise in every parameter, in evaluation mode."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = transformers.BertConfig(**{**shape.CONFIG, **more}, attn_implementation="eager")
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.from_numpy(shape.disturbed(rng, parameter.numpy())))
    return model


def outputs(model, features):
    """What the .npz holds of a model: the encoder's outputs, then the head's."""
    name = type(model).__name__
    flat = {key: torch.from_numpy(value).long().flatten(0, -2) for key, value in features.items()}
    encoder = model if name == "BertModel" else model.bert
    with torch.no_grad():
        states = encoder(flat["token_ids"], flat["padding_mask"], flat["segment_ids"])
        found = {"sequence_output": states.last_hidden_state}
        if states.pooler_output is not None:
            found["pooled_output"] = states.pooler_output
        answer = model(
            input_ids=torch.from_numpy(features["token_ids"]).long(),
            attention_mask=torch.from_numpy(features["padding_mask"]).long(),
            token_type_ids=torch.from_numpy(features["segment_ids"]).long(),
        )
    for theirs, ours in LOGITS.get(name, {"logits": "logits"}).items():
        found[ours] = answer[theirs]
    return {key: value.float().numpy() for key, value in found.items()}


def write_tokenizer(folder, **options):
    """The tokeniser's files as this version writes them; their ids are checked against ours."""
    with tempfile.TemporaryDirectory() as temporary:
        shape.write_vocabulary(pathlib.Path(temporary))
        tokenizer = transformers.BertTokenizer.from_pretrained(temporary, **options)
    if not options:
        for row, (text, pair) in enumerate(zip(shape.TEXTS, shape.TEXT_PAIRS, strict=True)):
            ids = tokenizer(text, pair)["input_ids"]
            assert ids == [i for i in shape.inputs()["token_ids"][row].tolist() if i], (text, ids)
    tokenizer.save_pretrained(folder)


def write(name, model, features=None, found=None, **options):
    """One layout: weights, config, tokeniser or vocabulary, and the .npz."""
    folder = shape.new_folder(name)
    model.save_pretrained(folder, **options)
    if name in WITH_TOKENIZER:
        write_tokenizer(folder)
    else:
        shape.write_vocabulary(folder)
    shape.clean_json(folder)
    features = features or shape.inputs()
    shape.write_golden(name, features, found or outputs(model, features))
    return folder


def heads():
    """One layout for every class."""
    for seed, (name, (architecture, more)) in enumerate(HEADS.items()):
        model = new_model(architecture, more, seed)
        write(name, model, shape.choices() if name == "hf5_multiple_choice" else None)


def half_precision():
    """The weights in 16 bits; the golden numbers are those of the rounded weights, computed in float32."""
    for name, dtype in {"hf5_bfloat16": torch.bfloat16, "hf5_float16": torch.float16}.items():
        model, rounded = (
            new_model("BertForSequenceClassification", {**shape.SHORT, **NAMED}, 20) for _ in "12"
        )
        model.to(dtype)
        rounded.load_state_dict(model.state_dict())
        write(name, model, found=outputs(rounded.float(), shape.inputs()))


def sharded():
    """`model.safetensors.index.json` and its parts."""
    model = new_model("BertForSequenceClassification", {**shape.SHORT, **NAMED}, 21)
    folder = write("hf5_sharded", model, max_shard_size="2KB")
    assert len(list(folder.glob("*.safetensors"))) > 2


def cased_and_padded():
    """A cased tokeniser, and a table of embeddings longer than the vocabulary, as GPUs like it."""
    model = new_model("BertModel", shape.SHORT, 22)
    model.resize_token_embeddings(64)
    folder = shape.new_folder("hf5_padded_vocabulary")
    model.save_pretrained(folder)
    write_tokenizer(folder, do_lower_case=False)
    shape.write_golden(folder.name, shape.inputs(), outputs(model, shape.inputs()))


def decoder():
    """A BERT that reads from left to right only."""
    write("hf5_decoder", new_model("BertLMHeadModel", {**shape.SHORT, "is_decoder": True}, 23))


class Hub(http.server.BaseHTTPRequestHandler):
    """Just enough of a hub for hf_hub_download: /ORG/NAME/resolve/REVISION/FILE."""

    folder = None

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        path = self.folder / self.path.split("/")[-1]
        self.send_response(200 if path.exists() else 404)
        self.send_header("X-Repo-Commit", hashlib.sha1(b"tiny").hexdigest())
        if path.exists():
            content = path.read_bytes()
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write((self.folder / self.path.split("/")[-1]).read_bytes())


def cache():
    """The hub's cache as huggingface_hub lays it out: blobs, refs, and snapshots of links."""
    import huggingface_hub

    folder = shape.new_folder("hf5_cache")
    model = new_model("BertForSequenceClassification", {**shape.SHORT, **NAMED}, 24)
    with tempfile.TemporaryDirectory() as temporary:
        Hub.folder = pathlib.Path(temporary)
        model.save_pretrained(temporary)
        write_tokenizer(temporary)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for file in sorted(os.listdir(temporary)):
            huggingface_hub.hf_hub_download(
                "tiny-org/tiny-bert",
                file,
                cache_dir=folder,
                endpoint=f"http://127.0.0.1:{server.server_port}",
            )
        server.shutdown()
    shutil.rmtree(folder / ".locks", ignore_errors=True)
    shape.write_golden("hf5_cache", shape.inputs(), outputs(model, shape.inputs()))


def sentence_transformer():
    """A folder of sentence-transformers: BertModel, mean pooling, normalisation."""
    import sentence_transformers
    from sentence_transformers.sentence_transformer import modules

    folder = shape.new_folder("sentence_transformers")
    bert = new_model("BertModel", {}, 25)
    with tempfile.TemporaryDirectory() as temporary:
        bert.save_pretrained(temporary)
        write_tokenizer(temporary)
        word = modules.Transformer(temporary, max_seq_length=20)
        pooling = modules.Pooling(word.get_embedding_dimension(), pooling_mode="mean")
        model = sentence_transformers.SentenceTransformer(
            modules=[word, pooling, modules.Normalize()], device="cpu"
        )
        model.save(str(folder), create_model_card=False)
    shape.clean_json(folder)
    features = {key: torch.from_numpy(value).long() for key, value in shape.inputs().items()}
    with torch.no_grad():
        answer = model.forward(
            {
                "input_ids": features["token_ids"],
                "attention_mask": features["padding_mask"],
                "token_type_ids": features["segment_ids"],
            }
        )
    found = {**outputs(bert, shape.inputs()), "embedding": answer["sentence_embedding"].numpy()}
    shape.write_golden("sentence_transformers", shape.inputs(), found)


GROUPS = (heads, half_precision, sharded, cased_and_padded, decoder, cache, sentence_transformer)

if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for group in GROUPS:
        if not sys.argv[1:] or group.__name__ in sys.argv[1:]:
            group()
