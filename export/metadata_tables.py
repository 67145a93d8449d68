"""FlatBuffers by hand: the tables of TFLite's metadata, and a model file that holds one more buffer.

    before   [ header | tables and weights ]
    after    [ new header, metadata | the old file, unchanged ]

A FlatBuffer points forwards only, and relative to where the pointer stands. So a new header in front of a
file can point at everything in it, and nothing there has to be read, moved or understood: weights and
signatures stay what they were, and a file of hundreds of megabytes is copied once. Reading the model into
Python's objects and packing them anew takes four times the memory and nine times as long.
"""

import dataclasses

import flatbuffers

from keras_bert.errors import ExportError

# A field's slot is its place in the table; a union has two, that of its type first. Fields behind those we
# write are left out. From MediaPipe's metadata_schema.fbs, version 1.5.0.
FIELDS = {
    "ModelMetadata": (
        "name", "description", "version", "subgraph_metadata", "author", "license", "associated_files",
        "min_parser_version",
    ),
    "SubGraphMetadata": (
        "name", "description", "input_tensor_metadata", "output_tensor_metadata", "associated_files",
        "input_process_units",
    ),
    "TensorMetadata": (
        "name", "description", "dimension_names", "content", "process_units", "stats", "associated_files",
    ),
    "Content": ("content_properties_type", "content_properties"),
    "FeatureProperties": (),
    "ProcessUnit": ("options_type", "options"),
    "BertTokenizerOptions": ("vocab_file",),
    "AssociatedFile": ("name", "description", "type"),
}  # fmt: skip
# `enum AssociatedFileType`, `union ContentProperties` and `union ProcessUnitOptions` of the same file.
LABELS_FILE, VOCABULARY_FILE = 2, 5  # TENSOR_AXIS_LABELS, VOCABULARY
FEATURE_PROPERTIES, BERT_TOKENIZER_OPTIONS = 1, 4
METADATA_IDENTIFIER = b"M001"
# `table Model` of TFLite's schema.fbs: `version` is a number, every further field points at something.
MODEL_FIELDS = (
    "version", "operator_codes", "subgraphs", "description", "buffers", "metadata_buffer", "metadata",
    "signature_defs", "external_buffer_groups", "external_buffers",
)  # fmt: skip
MODEL_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # `force_align` of a buffer's data in that schema
_SLOT_BYTES, _VTABLE_HEAD_BYTES = 2, 4


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of the metadata.

    Args:
        kind: str. One of `FIELDS`.
        fields: dict of str, int (of one byte), Table, or list of Table, by the field's name.
    """

    kind: str
    fields: dict


def table(kind: str, **fields) -> Table:
    """A `Table`, its fields as arguments."""
    return Table(kind, fields)


def packed(root: Table, identifier: bytes = METADATA_IDENTIFIER) -> bytes:
    """The FlatBuffer of a table and all it holds."""
    builder = flatbuffers.Builder()
    builder.Finish(_place(builder, root), identifier)
    return bytes(builder.Output())


def _place(builder, value) -> int:
    """Writes a text, a table or a list of tables; returns its place."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list):
        return _vector(builder, [_place(builder, one) for one in value])
    names = FIELDS[value.kind]
    # What a table points at is written before it: a builder works from the end to the start.
    places = {
        name: _place(builder, given) for name, given in value.fields.items() if not isinstance(given, int)
    }
    builder.StartObject(len(names))
    for name, given in value.fields.items():
        if name in places:
            builder.PrependUOffsetTRelativeSlot(names.index(name), places[name], 0)
        else:
            builder.PrependByteSlot(names.index(name), given, 0)
    return builder.EndObject()


def _vector(builder, places: list) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()


def header_with(model: bytes, name: str, data: bytes, *, where: str) -> bytes:
    """What stands in front of a TFLite file so that the whole is that model with one more metadata buffer.

    Args:
        model: bytes. The file.
        name: str. The entry's name in the model's `metadata`.
        data: bytes. What the buffer holds.
        where: str. The file, for messages.
    Returns:
        bytes; their number is a multiple of 16, so that what is aligned in the file stays so.
    Raises:
        ExportError: the file is none that this can be done to, or has such an entry.
    """
    old = model_root(model, where=where)
    if name.encode() in [old.Metadata(i).Name() for i in range(old.MetadataLength())]:
        raise ExportError(f"The file has {name} already", where=where, expected="a file without metadata")
    builder = flatbuffers.Builder()

    def behind(position):
        """A place in the old file. The builder counts from its end, so what follows lies below zero."""
        return -position

    builder.StartVector(1, len(data), _ALIGNMENT)
    for byte in reversed(data):
        builder.PrependByte(byte)
    payload = builder.EndVector()
    builder.StartObject(1)  # table Buffer { data }
    builder.PrependUOffsetTRelativeSlot(0, payload, 0)
    buffer = builder.EndObject()
    called = builder.CreateString(name)
    builder.StartObject(2)  # table Metadata { name, buffer }
    builder.PrependUOffsetTRelativeSlot(0, called, 0)
    builder.PrependUint32Slot(1, old.BuffersLength(), 0)
    entry = builder.EndObject()

    buffers = [behind(old.Buffers(i)._tab.Pos) for i in range(old.BuffersLength())]
    entries = [behind(old.Metadata(i)._tab.Pos) for i in range(old.MetadataLength())]
    places = {
        slot: behind(old._tab.Indirect(old._tab.Pos + at))
        for slot in range(1, len(MODEL_FIELDS))
        if (at := old._tab.Offset(_VTABLE_HEAD_BYTES + _SLOT_BYTES * slot))
    }
    places[MODEL_FIELDS.index("buffers")] = _vector(builder, [*buffers, buffer])
    places[MODEL_FIELDS.index("metadata")] = _vector(builder, [*entries, entry])
    builder.StartObject(len(MODEL_FIELDS))
    builder.PrependUint32Slot(0, old.Version(), 0)
    for slot, place in places.items():
        builder.PrependUOffsetTRelativeSlot(slot, place, 0)
    builder.Finish(builder.EndObject(), MODEL_IDENTIFIER)
    return bytes(builder.Output())


def model_root(model: bytes, *, where: str):
    """The root table of a TFLite file, as ai-edge-litert reads it.

    Args:
        model: bytes. The file.
        where: str. Its name, for messages.
    Raises:
        ExportError: the file is none that something can be put in front of.
    """
    from ai_edge_litert import schema_py_generated as schema

    def refuse(what):
        return ExportError(what, where=where, expected="a .tflite file of less than 2 GB, newly converted")

    if not schema.Model.ModelBufferHasIdentifier(model, 0):
        raise refuse("The file is no TFLite model")
    root = schema.Model.GetRootAs(model, 0)
    tab = root._tab
    vtable = tab.Pos - tab.Get(flatbuffers.number_types.SOffsetTFlags, tab.Pos)
    vtable_bytes = tab.Get(flatbuffers.number_types.VOffsetTFlags, vtable)
    if vtable_bytes > _VTABLE_HEAD_BYTES + _SLOT_BYTES * len(MODEL_FIELDS):
        raise refuse("The model has fields that are not known here")
    if any(root.Buffers(i).Offset() for i in range(root.BuffersLength())):
        # Then the places of the weights are counted from the start of the file, which moves.
        raise refuse("The model keeps its weights outside its FlatBuffer")
    return root
