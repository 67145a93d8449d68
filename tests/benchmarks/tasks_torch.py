"""The peer of tasks.py: Hugging Face/torch with the same recipe. `python tasks_torch.py JOB OUT.json`.

Runs in an environment of its own (requirements-torch.txt) and knows nothing of keras_bert: its rows come as
JSON, its answers go back as JSON, in the form of our `predict`. On a GPU where there is one; in float32, or
with torch's automatic casts to bfloat16.
"""

import json
import math
import pathlib
import sys
import time

import numpy as np
import safetensors.torch
import torch
import transformers

LEARNING_RATE, DECAY = 5e-5, 0.01
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CLASSES = {
    "classification": transformers.BertForSequenceClassification,
    "regression": transformers.BertForSequenceClassification,
    "tagging": transformers.BertForTokenClassification,
    "question_answering": transformers.BertForQuestionAnswering,
}
# SimBERT-tiny's table is narrower than its layers. Transformers' BERT cannot be, its ELECTRA is just that.
FACTORISED = {
    "tagging": transformers.ElectraForTokenClassification,
    "question_answering": transformers.ElectraForQuestionAnswering,
}


def main(job, output):
    torch.manual_seed(job["seed"])
    rng = np.random.default_rng(job["seed"])
    data = json.loads(pathlib.Path(job["rows"]).read_text())
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model_dir"])
    labels, task = data["labels"], job["task"]
    count = {} if task == "question_answering" else {"num_labels": len(labels) if labels else 1}
    model = pretrained(pathlib.Path(job["model_dir"]), task, count).to(DEVICE)
    encode = ENCODERS[task]
    train = encode(tokenizer, data["train_file"], job, labels)
    started = time.perf_counter()
    fit(model, tokenizer, train, job, rng)
    seconds = time.perf_counter() - started
    evaluation = encode(tokenizer, data["eval_file"], job, labels)
    outputs = answer(model, tokenizer, evaluation)
    answers = DECODERS[task](outputs, evaluation, data["eval_file"], labels)
    pathlib.Path(output).write_text(json.dumps({"answers": answers, "seconds": seconds}))


def pretrained(folder, task, count):
    config = json.loads((folder / "config.json").read_text())
    if "embedding_size" not in config:
        return CLASSES[task].from_pretrained(folder, **count)
    config = transformers.ElectraConfig(**{**config, **count, "model_type": "electra"})
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    renamed = {
        name.removeprefix("bert.").replace("encoder.embedding_hidden_mapping_in", "embeddings_project"): w
        for name, w in weights.items()
        if "pooler" not in name and not name.startswith("cls.")
    }
    model = FACTORISED[task](config)
    missing, unexpected = model.electra.load_state_dict(renamed, strict=False)
    if missing or unexpected:
        raise ValueError(f"{folder}: missing {missing}, unexpected {unexpected}")
    return model


def fit(model, tokenizer, examples, job, rng):
    size, epochs = int(job.get("train_batch_size", 32)), int(job["num_train_epochs"])
    named = list(model.named_parameters())
    plain = [p for n, p in named if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in named if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, eps=1e-6)
    total = epochs * math.ceil(len(examples) / size)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, round(0.1 * total), total)
    model.train()
    for _ in range(epochs):
        order = rng.permutation(len(examples))
        for start in range(0, len(order), size):
            given = batch(tokenizer, [examples[i] for i in order[start : start + size]])
            with torch.autocast(DEVICE, torch.bfloat16, enabled=job["precision"] == "mixed_bfloat16"):
                loss = model(**given).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def batch(tokenizer, examples, with_labels=True) -> dict:
    names = ("input_ids", "token_type_ids", "attention_mask")
    made = tokenizer.pad([{name: e[name] for name in names} for e in examples], return_tensors="pt")
    if not with_labels:
        return {name: value.to(DEVICE) for name, value in made.items()}
    for name in ("labels", "start_positions", "end_positions"):
        if name in examples[0]:
            values = [e[name] for e in examples]
            if isinstance(values[0], list):
                longest = made["input_ids"].shape[1]
                values = [row + [-100] * (longest - len(row)) for row in values]
            made[name] = torch.tensor(values)
    return {name: value.to(DEVICE) for name, value in made.items()}


def answer(model, tokenizer, examples, size=32) -> list:
    model.eval()
    outputs = []
    with torch.no_grad():
        for start in range(0, len(examples), size):
            given = batch(tokenizer, examples[start : start + size], with_labels=False)
            found = model(**given)
            parts = (
                (found.start_logits, found.end_logits) if hasattr(found, "start_logits") else (found.logits,)
            )
            outputs += list(zip(*(part.cpu().numpy() for part in parts), strict=True))
    return outputs


def encode_texts(tokenizer, rows, job, labels):
    cut = {"truncation": True, "max_length": int(job.get("max_seq_length", 128))}
    key = "score" if labels is None else "label"
    return [
        {
            **tokenizer(row["text"], row.get("text_pair") or None, **cut),
            "labels": row[key],
        }
        for row in rows
    ]


def decode_texts(outputs, examples, rows, labels):
    if labels is None:
        return [{"score": float(logits[0])} for (logits,) in outputs]
    return [{"label": labels[int(logits.argmax())]} for (logits,) in outputs]


def encode_tags(tokenizer, rows, job, labels):
    """A tag at the first piece of every word, or of every word of the tokeniser, as the rows say."""
    examples = []
    for row in rows:
        made = tokenizer(
            row["text"], truncation=True, max_length=int(job["max_seq_length"]), return_offsets_mapping=True
        )
        offsets, words = made.pop("offset_mapping"), made.word_ids()
        tags, units, before, last = [], [], None, None
        for (start, end), word in zip(offsets, words, strict=True):
            begins = word is not None and (
                start > last if row.get("units") == "words" and last is not None else word != before
            )
            tags.append(-100)
            if begins:
                units.append(len(tags) - 1)
                span = next((s for s in row["spans"] if s[0] < end and start < s[1]), None)
                name = "O" if span is None else f"{'B' if start <= span[0] else 'I'}-{span[2]}"
                tags[-1] = labels.index(name)
            before, last = word, end if word is not None else last
        examples.append({**made, "labels": tags, "offsets": offsets, "units": units})
    return examples


def decode_tags(outputs, examples, rows, labels):
    answers = []
    for (logits,), example in zip(outputs, examples, strict=True):
        spans, open_span = [], None
        units, count = example["units"], len(example["input_ids"]) - 1
        for i, place in enumerate(units):
            behind = units[i + 1] if i + 1 < len(units) else count
            start, end = example["offsets"][place][0], example["offsets"][behind - 1][1]
            tag = labels[int(logits[place].argmax())]
            prefix, _, kind = tag.partition("-")
            if prefix == "I" and open_span and open_span["label"] == kind:
                open_span["end"] = end
                continue
            open_span = None if tag == "O" else {"start": start, "end": end, "label": kind}
            spans += [open_span] if open_span else []
        answers.append({"spans": spans})
    return answers


def encode_questions(tokenizer, rows, job, labels):
    examples, length = [], int(job["max_seq_length"])
    for number, row in enumerate(rows):
        made = tokenizer(
            row["question"], row["context"], truncation="only_second", max_length=length,
            stride=length // 3, return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        first = row["answers"][0]
        begin, end = first["start"], first["start"] + len(first["text"])
        for i in range(len(made["input_ids"])):
            offsets, which = made["offset_mapping"][i], made.sequence_ids(i)
            inside = [
                t for t, s in enumerate(which) if s == 1 and offsets[t][0] < end and offsets[t][1] > begin
            ]
            whole = inside and offsets[inside[0]][0] <= begin and offsets[inside[-1]][1] >= end
            examples.append({
                **{n: made[n][i] for n in ("input_ids", "token_type_ids", "attention_mask")},
                "start_positions": inside[0] if whole else 0, "end_positions": inside[-1] if whole else 0,
                "row": number,
                "offsets": [o if s == 1 else None for o, s in zip(offsets, which, strict=True)],
            })  # fmt: skip
    return examples


def decode_questions(outputs, examples, rows, labels):
    best = [(-math.inf, "")] * len(rows)
    for (start, end), example in zip(outputs, examples, strict=True):
        places = [t for t, offset in enumerate(example["offsets"]) if offset]
        for i in sorted(places, key=lambda t: -start[t])[:20]:
            for j in sorted(places, key=lambda t: -end[t])[:20]:
                if i <= j < i + 30 and start[i] + end[j] > best[example["row"]][0]:
                    text = rows[example["row"]]["context"]
                    found = text[example["offsets"][i][0] : example["offsets"][j][1]]
                    best[example["row"]] = (float(start[i] + end[j]), found)
    return [{"answer": text} for _, text in best]


ENCODERS = {
    "classification": encode_texts, "regression": encode_texts, "tagging": encode_tags,
    "question_answering": encode_questions,
}  # fmt: skip
DECODERS = {
    "classification": decode_texts, "regression": decode_texts, "tagging": decode_tags,
    "question_answering": decode_questions,
}  # fmt: skip

if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
