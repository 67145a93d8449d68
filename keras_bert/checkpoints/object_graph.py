"""The graph of Python objects in a checkpoint of TensorFlow 2, as far as it names the variables.

The tensors of such a checkpoint have paths through Python objects for keys; the graph, itself a string tensor
of the checkpoint, says which variable each key belongs to (TrackableObjectGraph).
"""

from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.protobuf_wire import Field, parse, text
from keras_bert.checkpoints.sstable import DOWNLOAD_AGAIN
from keras_bert.checkpoints.tensor_bundle import TensorBundle
from keras_bert.errors import CheckpointError

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# A BERT has some thousand objects, which take some hundred bytes each.
MAX_GRAPH_BYTES, MAX_GRAPH_PARTS = 2**21, 2**16

_GRAPH = {1: Field("nodes", "bytes", repeated=True)}
_NODE = {2: Field("attributes", "bytes", repeated=True)}
_ATTRIBUTE = {2: Field("full_name", "bytes"), 3: Field("checkpoint_key", "bytes")}


def object_graph_names(bundle: TensorBundle) -> dict[str, str]:
    """The variables' own names in a checkpoint of TensorFlow 2, whose keys are paths through Python objects.

        "encoder/layer-1/.ATTRIBUTES/VARIABLE_VALUE" -> "word_embeddings/embeddings"

    Args:
        bundle: TensorBundle.

    Returns:
        dict of the bundle's key to the variable's full name, for those that have one; empty for a checkpoint
        of TensorFlow 1.

    Raises:
        CheckpointError: the graph of objects is damaged, or gives a tensor two names.
    """
    if OBJECT_GRAPH not in bundle:
        return {}
    where = f"{bundle.path}, {OBJECT_GRAPH}"
    if bundle.shapes[OBJECT_GRAPH] != () or bundle.dtypes[OBJECT_GRAPH] != "object":
        raise CheckpointError("The graph of objects is no string", where=where, remedy=DOWNLOAD_AGAIN)
    graph, result = bundle[OBJECT_GRAPH].item(), {}
    _refuse_over(MAX_GRAPH_BYTES, len(graph), "bytes", where)
    nodes = parse(graph, _GRAPH, where)["nodes"]
    count = len(nodes)
    for node in nodes:
        attributes = parse(node, _NODE, where)["attributes"]
        count += len(attributes)
        _refuse_over(MAX_GRAPH_PARTS, count, "objects and attributes", where)
        for attribute in attributes:
            fields = parse(attribute, _ATTRIBUTE, where)
            key, name = (text(fields.get(field, b""), where) for field in ("checkpoint_key", "full_name"))
            if name and key in bundle and result.setdefault(key, name) != name:
                raise CheckpointError(
                    f"{quoted(key)} is named {quoted(result[key])} and {quoted(name)}", where=where
                )
    return result


def _refuse_over(limit: int, count: int, of_what: str, where: str):
    if count > limit:
        raise CheckpointError(
            f"The graph of objects has {count} {of_what}", where=where, expected=f"at most {limit}"
        )
