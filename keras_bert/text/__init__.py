"""Text to ids, exactly as Google's `tokenization.py` does it: in Python and inside the graph."""
