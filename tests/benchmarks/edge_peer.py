"""The peer of edge.py: Hugging Face's model as ONNX, in 8 bits, in ONNX Runtime's best settings.

    python edge_peer.py MODEL_DIR OUT_DIR LENGTH

Runs in an environment of its own (requirements-edge.txt) and knows nothing of keras_bert. Writes OUT_DIR/
float32.onnx, int8.onnx and fused_int8.onnx: as torch exports it, its matrix products in 8 bits, and the
same after ONNX Runtime's own optimiser for BERT has joined attention, layer norm and GELU into one operation
each.
"""

import pathlib
import sys

import onnx
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model

NAMES = ("input_ids", "token_type_ids", "attention_mask")


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, token_type_ids, attention_mask):
        return self.model(input_ids, attention_mask, token_type_ids).logits


def main(model_dir, out, length):
    out = pathlib.Path(out)
    model = transformers.BertForSequenceClassification.from_pretrained(
        model_dir, attn_implementation="eager"
    ).eval()
    ids = torch.ones((1, length), dtype=torch.int64)
    torch.onnx.export(
        Logits(model), (ids, ids, ids), str(out / "float32.onnx"), input_names=list(NAMES),
        output_names=["logits"], opset_version=17, dynamo=False,
    )  # fmt: skip
    fused = optimize_model(
        str(out / "float32.onnx"), model_type="bert", num_heads=model.config.num_attention_heads,
        hidden_size=model.config.hidden_size, optimization_options=FusionOptions("bert"), opt_level=1,
    )  # fmt: skip
    fused.save_model_to_file(str(out / "fused.onnx"))
    for name, source in (("int8", "float32"), ("fused_int8", "fused")):
        quantize_dynamic(
            str(out / f"{source}.onnx"), str(out / f"{name}.onnx"), weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # the joined operations have no rule
        )  # fmt: skip
        ops = [node.op_type for node in onnx.load(out / f"{name}.onnx").graph.node]
        print(name, {op: ops.count(op) for op in sorted(set(ops))}, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3], int(sys.argv[3]))
