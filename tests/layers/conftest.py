"""The layers run without TensorFlow: KERAS_BERT_BLOCK_TENSORFLOW=1 makes importing it fail.

KERAS_BERT_BLOCK_TENSORFLOW=1 KERAS_BACKEND=jax pytest tests/layers tests/test_encoder.py
"""

import os
import sys

if os.environ.get("KERAS_BERT_BLOCK_TENSORFLOW") == "1":
    sys.modules["tensorflow"] = sys.modules["tensorflow_text"] = None
