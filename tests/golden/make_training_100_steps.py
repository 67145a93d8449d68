"""Makes training_100_steps.npz: 100 steps of a tiny BertForSequenceClassification in torch, float32 on a CPU.

Run in an environment with transformers and torch (neither is a dependency of this project):

    python make_training_100_steps.py

AdamW (betas 0.9 and 0.999, epsilon 1e-6, decay 0.01 on all but biases and layer norms), gradients clipped to
norm 1, rate from 0 to PEAK over WARMUP steps and linearly to 0 over STEPS, no dropout. The file holds

    config                                              JSON of our BertConfig
    token_ids, segment_ids, padding_mask (step, B, T)   labels (step, B)
    learning_rates, losses, gradient_norms (step,)      the norms before clipping
    before/<path>, after/<path>                         every weight, in our names

The script prints how far float64 is from it: no float32 can be expected to be closer.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from keras_bert.checkpoints import names  # noqa: E402
from keras_bert.config import BertConfig  # noqa: E402

OUTPUT = pathlib.Path(__file__).with_name("training_100_steps.npz")
STEPS, WARMUP, PEAK, BATCH, LENGTH, CLASSES = 100, 10, 1e-3, 8, 16, 3
PAD, CLS, SEP, FIRST_WORD = 0, 1, 2, 3
CONFIG = BertConfig(
    vocabulary_size=200, num_layers=2, num_heads=2, hidden_dim=32, intermediate_dim=64,
    activation="gelu", dropout=0.0, attention_dropout=0.0, max_sequence_length=40,
)  # fmt: skip


def random_weights(rng):
    """Our paths to float32 arrays; no weight is left at a value that would hide a mistake (0 or 1)."""
    sizes = {"V": CONFIG.vocabulary_size, "P": CONFIG.max_sequence_length, "S": CONFIG.num_segments,
             "D": CONFIG.hidden_dim, "F": CONFIG.intermediate_dim, "C": CLASSES}  # fmt: skip
    weights = {}
    for row in names.rows(CONFIG.num_layers):
        *inputs, last = (sizes[letter] for letter in row.shape)
        values = 0.1 * rng.standard_normal((*inputs, last * max(1, len(row.fused))))
        weights[row.ours] = (values + row.ours.endswith("gamma")).astype("float32")
    return weights


def random_batches(rng):
    """token_ids, segment_ids, padding_mask (step, B, T), labels (step, B); the first word tells the label."""
    token_ids, segment_ids, padding_mask = (np.zeros((STEPS, BATCH, LENGTH), "int32") for _ in range(3))
    for step in range(STEPS):
        for row in range(BATCH):
            length = rng.integers(5, LENGTH + 1)
            tokens = rng.integers(FIRST_WORD, CONFIG.vocabulary_size, length)
            tokens[:2] = CLS, FIRST_WORD + rng.integers(CLASSES)
            tokens[-1] = SEP
            if row % 2:  # a pair
                middle = rng.integers(2, length - 2)
                tokens[middle] = SEP
                segment_ids[step, row, middle + 1 : length] = 1
            token_ids[step, row, :length] = tokens
            padding_mask[step, row, :length] = 1
    return token_ids, segment_ids, padding_mask, token_ids[:, :, 1] - FIRST_WORD


def build(weights, dtype):
    """The model in torch, with these weights."""
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=CONFIG.vocabulary_size,
            num_hidden_layers=CONFIG.num_layers,
            num_attention_heads=CONFIG.num_heads,
            hidden_size=CONFIG.hidden_dim,
            intermediate_size=CONFIG.intermediate_dim,
            max_position_embeddings=CONFIG.max_sequence_length,
            type_vocab_size=CONFIG.num_segments,
            layer_norm_eps=CONFIG.layer_norm_epsilon,
            hidden_act="gelu",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=CLASSES,
            attn_implementation="eager",
        )
    )
    tensors = names.from_ours(weights, CONFIG, "bert.").weights
    model.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()}, strict=True)
    return model.to(dtype).train()


def train(model, batches):
    """Per step: learning rate, loss, gradient norm before clipping."""
    undecayed = [p for name, p in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
    decayed = [
        p for name, p in model.named_parameters() if not (name.endswith("bias") or "LayerNorm" in name)
    ]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": undecayed, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.999), eps=1e-6)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    history = []
    for token_ids, segment_ids, padding_mask, labels in zip(*map(torch.tensor, batches), strict=True):
        loss = model(
            input_ids=token_ids, token_type_ids=segment_ids, attention_mask=padding_mask, labels=labels.long()
        ).loss
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        history.append((optimizer.param_groups[0]["lr"], loss.item(), norm.item()))
        optimizer.step()
        schedule.step()
    return np.array(history).T


def weights_of(model):
    """The model's weights in our names."""
    tensors = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    translation = names.to_ours(tensors, CONFIG, "bert.")
    assert not translation.missing and not translation.unexpected
    return translation.weights


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    before, batches = random_weights(rng), random_batches(rng)
    model, exact = build(before, torch.float32), build(before, torch.float64)
    learning_rates, losses, gradient_norms = train(model, batches)
    _, exact_losses, _ = train(exact, batches)
    after, exact_after = weights_of(model), weights_of(exact)
    largest = max(np.abs(array).max() for array in exact_after.values())
    drift = max(np.abs(after[path] - exact_after[path]).max() for path in after) / largest
    print(f"losses {losses[0]:.4f} … {losses[-1]:.4f}, gradient norms {gradient_norms.min():.2f} … ", end="")
    print(
        f"{gradient_norms.max():.2f}; from float64: losses {np.abs(losses - exact_losses).max():.1e}, ",
        end="",
    )
    print(f"weights {drift:.1e} of the largest")
    keys = ("token_ids", "segment_ids", "padding_mask", "labels")
    np.savez_compressed(
        OUTPUT,
        config=json.dumps(CONFIG.to_dict()),
        learning_rates=learning_rates,
        losses=losses,
        gradient_norms=gradient_norms,
        **dict(zip(keys, (batch.astype("int32") for batch in batches), strict=True)),
        **{f"before/{path}": array for path, array in before.items()},
        **{f"after/{path}": array for path, array in after.items()},
    )
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes, torch {torch.__version__}")


if __name__ == "__main__":
    main()
