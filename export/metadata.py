"""What MediaPipe Tasks and the TFLite Task Library read of a `.tflite` file: text in, an answer out.

    ids, mask, segment_ids int32 (1, L)  ->  what that library's application takes, and nothing else

Those libraries tokenise by themselves, with the vocabulary in the file, and find each tensor by the name it
has in the metadata; the signature keeps the names we have everywhere. A task says which application it
fits by `Task.edge_kind`. The vocabulary and the names of the classes lie behind the model as a zip archive.
"""

import dataclasses
import zipfile

import tensorflow as tf

from keras_bert.errors import ExportError, UsageError
from keras_bert.export import metadata_tables as tables
from keras_bert.export.metadata_tables import table
from keras_bert.export.signatures import static_signature
from keras_bert.features import ENCODER_FEATURES, tensor_specs

ENTRY = "TFLITE_METADATA"
VOCABULARY, LABELS = "vocab.txt", "labels.txt"
# The version of the schema that brought `BertTokenizerOptions`: an older reader must refuse the file.
MIN_PARSER_VERSION = "1.1.0"
INPUTS = {  # ours: what they look for, and what it is
    "token_ids": ("ids", "The pieces of the text by their place in the vocabulary."),
    "padding_mask": ("mask", "1 where there is a piece, 0 where the sequence is filled up."),
    "segment_ids": ("segment_ids", "0 up to the first [SEP], 1 behind it."),
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """An application of those libraries.

    Args:
        readers: str. The classes that run it.
        outputs: dict of str to str. The names it looks for, in the order of `Task.edge_outputs`, and what
            each is.
        has_labels: bool. Whether its one output has a value for every class.
        length: int or None. The only length it reads, where there is but one.
        refused: sequence of str. Values of `quantize` that no release of its library reads.
    """

    readers: str
    outputs: dict
    has_labels: bool = False
    length: int | None = None
    refused: tuple = ()


KINDS = {
    "text_classifier": Kind(
        "MediaPipe's TextClassifier and the Task Library's BertNLClassifier",
        # The Task Library ends the process where an output of another name is the only one.
        {"probability": "The probability of every class."},
        has_labels=True,
    ),
    "text_embedder": Kind(
        "MediaPipe's and the Task Library's TextEmbedder",
        {"embedding": "The vector of the text."},
    ),
    "question_answerer": Kind(
        "the Task Library's BertQuestionAnswerer",
        {
            "start_logits": "How likely the answer starts at each piece.",
            "end_logits": "How likely the answer ends at each piece.",
        },
        length=384,
        refused=("dynamic_int8",),  # 0.4.4, its last release: one scale a column came later
    ),
}


def check_edge(bert, lengths, quantize):
    """Refuses what those libraries cannot run, or would answer otherwise without saying so.

    Args:
        bert: `Bert` with a task.
        lengths: sequence of int. The lengths asked for.
        quantize: str. The format asked for.
    Raises:
        UsageError: the task, the tokeniser, the length, the format, or a name that is no line of a file.
    """
    task, tokenizer, known = bert.task, bert.tokenizer, ", ".join(KINDS)
    if task.edge_kind not in KINDS:
        raise UsageError(
            f"The task {task.name} is no application of MediaPipe Tasks or the TFLite Task Library",
            where="metadata", expected=f"a task that is one of their applications: {known}",
            remedy="export without metadata, and let the application tokenise",
        )  # fmt: skip
    kind = KINDS[task.edge_kind]
    for reads_otherwise, how in (
        (not tokenizer.lowercase, "keeps capitals, and theirs maps A-Z to a-z"),
        (not tokenizer.split_chinese, "keeps ideographs together, and theirs makes each a word"),
        (tokenizer.never_split, "has words that are never split, and theirs has none"),
    ):
        if reads_otherwise:
            raise UsageError(
                f"The tokeniser {how}: {kind.readers} would ask the model other ids than it has learnt from",
                where="metadata", expected="a tokeniser of an uncased or Chinese checkpoint",
                remedy="export without metadata, and let the application tokenise",
            )  # fmt: skip
    only = f"{kind.length}, which is all it reads" if kind.length else "one length: they know no signatures"
    if len(lengths) > 1 or kind.length not in (None, *lengths):
        raise UsageError(
            f"The length for {kind.readers} is {', '.join(map(str, lengths))}",
            where="length", expected=only,
        )  # fmt: skip
    if quantize in kind.refused:
        raise UsageError(
            f"The operations of {quantize} are newer than {kind.readers}",
            where="quantize", expected="float16 or float32",
        )  # fmt: skip
    _lines(tokenizer.vocabulary, "vocabulary")
    if kind.has_labels:
        _lines(task.labels, "labels")


def edge_signature(bert, length: int):
    """The concrete function of `signatures.static_signature` with the outputs of the task's application.

    Args:
        bert: `Bert` with a task that has an `edge_kind`.
        length: int. The fixed length L.
    """
    whole = static_signature(bert, length)

    def answer(**features):
        answers = whole(**features)
        return {name: answers[name] for name in bert.task.edge_outputs}

    specs = tensor_specs(*ENCODER_FEATURES, batch=1, length=length)
    return tf.function(answer, autograph=False).get_concrete_function(**specs)


def add_metadata(bert, file) -> dict:
    """Gives a written `.tflite` file its metadata, vocabulary and class names.

    Args:
        bert: `Bert`, which the file is of.
        file: path. One signature, that of `edge_signature`; rewritten in place.
    Returns:
        dict of JSON values: kind, inputs and outputs (our name: theirs), files.
    Raises:
        ExportError: the file is not such a one.
    """
    with open(file, "rb") as opened:
        model = opened.read()
    kind, task = KINDS[bert.task.edge_kind], bert.task
    outputs = dict(zip(task.edge_outputs, kind.outputs.items(), strict=True))
    order = _tensor_names(tables.model_root(model, where=str(file)), bert, outputs, where=str(file))
    metadata = _metadata(bert, [INPUTS[name] for name in order[0]], [outputs[name] for name in order[1]])
    files = {VOCABULARY: _lines(bert.tokenizer.vocabulary, "vocabulary")}
    if kind.has_labels:
        files[LABELS] = _lines(task.labels, "labels")
    header = tables.header_with(model, ENTRY, metadata, where=str(file))
    with open(file, "wb") as opened:
        opened.write(header)
        opened.write(model)
    with zipfile.ZipFile(file, "a") as archive:
        for name, content in files.items():
            # Not compressed, which their reader cannot open; and of no time: the same model, the same bytes.
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return {
        "kind": task.edge_kind,
        "inputs": {name: theirs for name, (theirs, _) in INPUTS.items()},
        "outputs": {name: theirs for name, (theirs, _) in outputs.items()},
        "files": list(files),
    }


def _tensor_names(model, bert, outputs, where) -> tuple[list, list]:
    """Our names of the inputs and outputs, in the order of the model's graph."""

    def check(fits, what, expected):
        if not fits:
            raise ExportError(f"The file has {what}", where=where, expected=expected)

    counts = model.SignatureDefsLength(), model.SubgraphsLength()
    check(counts == (1, 1), "{} signatures and {} graphs".format(*counts), "one of each")
    signature, graph = model.SignatureDefs(0), model.Subgraphs(0)
    pairs = [signature.Inputs(i) for i in range(signature.InputsLength())]
    pairs += [signature.Outputs(i) for i in range(signature.OutputsLength())]
    named = {pair.TensorIndex(): pair.Name().decode() for pair in pairs}
    first = [named.get(graph.Inputs(i), "?") for i in range(graph.InputsLength())]
    last = [named.get(graph.Outputs(i), "?") for i in range(graph.OutputsLength())]
    check(sorted(first) == sorted(INPUTS), f"the inputs {', '.join(first)}", ", ".join(INPUTS))
    check(sorted(last) == sorted(outputs), f"the outputs {', '.join(last)}", ", ".join(outputs))
    if KINDS[bert.task.edge_kind].has_labels:
        count, shape = len(bert.task.labels), graph.Tensors(graph.Outputs(0)).ShapeAsNumpy().tolist()
        check(shape == [1, count], f"an output of the shape {shape}", f"[1, {count}], one value a label")
    return first, last


def _metadata(bert, inputs, outputs) -> bytes:
    """The metadata buffer; of the tensors (name, what it is), in the order of the graph."""
    config, task = bert.config, bert.task
    vocabulary = table(
        "AssociatedFile", name=VOCABULARY, type=tables.VOCABULARY_FILE,
        description="The pieces of the tokeniser, one a line; a piece's id is its place.",
    )  # fmt: skip
    labels = table(
        "AssociatedFile", name=LABELS, type=tables.LABELS_FILE,
        description="The names of the classes, one a line, in the order of the values.",
    )  # fmt: skip
    tokenizer = table("BertTokenizerOptions", vocab_file=[vocabulary])
    unit = table("ProcessUnit", options_type=tables.BERT_TOKENIZER_OPTIONS, options=tokenizer)
    kind = task.edge_kind.replace("_", " ")
    files = {"associated_files": [labels]} if KINDS[task.edge_kind].has_labels else {}
    graph = table(
        "SubGraphMetadata",
        input_tensor_metadata=[_tensor(*tensor) for tensor in inputs],
        output_tensor_metadata=[_tensor(*tensor, **files) for tensor in outputs],
        input_process_units=[unit],
    )
    return tables.packed(
        table(
            "ModelMetadata",
            name=f"BERT {kind}",
            description=f"{config.num_layers} layers of width {config.hidden_dim}. Longer texts are cut.",
            subgraph_metadata=[graph],
            min_parser_version=MIN_PARSER_VERSION,
        )
    )


def _tensor(name, description, **fields):
    content = table(
        "Content", content_properties_type=tables.FEATURE_PROPERTIES,
        content_properties=table("FeatureProperties"),
    )  # fmt: skip
    return table("TensorMetadata", name=name, description=description, content=content, **fields)


def _lines(texts, where: str) -> bytes:
    """The texts as a file, one a line.

    Raises:
        UsageError: one of them is not one line.
    """
    for text in texts:
        if not text or {"\n", "\r"} & set(text):
            raise UsageError(
                f"{text!r} cannot be a line of a file", where=where, expected="texts without line ends"
            )
    return "".join(f"{text}\n" for text in texts).encode()
