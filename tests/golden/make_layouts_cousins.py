"""Makes the layouts of BERT's cousins: what lies in people's folders beside it, and is or is not one.

Environment: that of make_layouts_huggingface.py.

    pip install torch==2.13.0 transformers==5.23.0 sentencepiece
    python make_layouts_cousins.py
"""

import layout_shape as shape
import numpy as np
import torch
import transformers

BASE = {**shape.CONFIG, **shape.SHORT}
SMALL = {key: BASE[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                                    "intermediate_size", "max_position_embeddings")}  # fmt: skip
COUSINS = {  # layout: class, config class, its values
    "cousin_distilbert": (
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        {
            "vocab_size": BASE["vocab_size"],
            "dim": BASE["hidden_size"],
            "n_layers": 1,
            "n_heads": 2,
            "hidden_dim": BASE["intermediate_size"],
            "max_position_embeddings": BASE["max_position_embeddings"],
            **shape.LABEL_KEYS,
        },
    ),
    "cousin_electra_discriminator": ("ElectraForPreTraining", "ElectraConfig", {**BASE, "embedding_size": 4}),
    "cousin_electra_classifier": (
        "ElectraForSequenceClassification",
        "ElectraConfig",
        {**BASE, **shape.LABEL_KEYS, "embedding_size": BASE["hidden_size"]},
    ),
    "cousin_roberta": ("RobertaModel", "RobertaConfig", BASE),
    "cousin_albert": ("AlbertModel", "AlbertConfig", {**BASE, "embedding_size": 4}),
    "cousin_mobilebert": (
        "MobileBertModel",
        "MobileBertConfig",
        {
            **BASE,
            "embedding_size": 4,
            "intra_bottleneck_size": 4,
            "true_hidden_size": 4,
            "num_feedforward_networks": 1,
        },
    ),
    "cousin_deberta_v2": ("DebertaV2Model", "DebertaV2Config", {**BASE, "relative_attention": True}),
    "cousin_modernbert": ("ModernBertModel", "ModernBertConfig", {**SMALL, "pad_token_id": 0}),
}
SEGMENTS = ("electra", "albert", "mobilebert")  # the cousins that have them


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for seed, (name, (architecture, config, values)) in enumerate(COUSINS.items(), start=700):
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        model = getattr(transformers, architecture)(getattr(transformers, config)(**values)).eval()
        features = {key: torch.from_numpy(value).long() for key, value in shape.inputs().items()}
        given = {"input_ids": features["token_ids"], "attention_mask": features["padding_mask"]}
        if model.config.model_type in SEGMENTS:
            given["token_type_ids"] = features["segment_ids"]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.from_numpy(shape.disturbed(rng, parameter.numpy())))
            states = model.base_model(**given).last_hidden_state
            found = {"sequence_output": states.numpy()}
            if "For" in architecture:
                found["logits"] = model(**given).logits.numpy()
        folder = shape.new_folder(name)
        model.save_pretrained(folder)
        shape.clean_json(folder)
        shape.write_vocabulary(folder)
        shape.write_golden(name, shape.inputs(), found)


if __name__ == "__main__":
    main()
