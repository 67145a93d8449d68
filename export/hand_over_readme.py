"""The page of the hand-over to applications: how the file is run, and what it costs."""

from keras_bert.export.metadata import KINDS

_ANDROID = """```kotlin
// build.gradle: implementation("com.google.ai.edge.litert:litert:1.4.0"); both files in assets/
val tokenizer = BertTokenizer(context.assets.open("vocab.txt").reader().readLines(), lowercase = {lowercase})
val encoded = tokenizer.encode("a warm film", length = {length})
val inputs = mapOf<String, Any>(
    "token_ids" to arrayOf(encoded.tokenIds),
    "segment_ids" to arrayOf(encoded.segmentIds),
    "padding_mask" to arrayOf(encoded.paddingMask))
val outputs = mutableMapOf<String, Any>({kotlin_outputs})
Interpreter(modelFile).use {{ it.runSignature(inputs, outputs, "{signature}") }}
```"""

_IOS = """```swift
// Podfile: pod 'TensorFlowLiteSwift', '~> 2.17'
let lines = try String(contentsOf: vocabURL, encoding: .utf8).components(separatedBy: "\\n")
let encoded = BertTokenizer(pieces: lines, lowercase: {lowercase}).encode("a warm film", length: {length})
let runner = try Interpreter(modelPath: modelPath).signatureRunner(with: "{signature}")
try runner.allocateTensors()
for (name, values) in [("token_ids", encoded.tokenIds), ("segment_ids", encoded.segmentIds),
                       ("padding_mask", encoded.paddingMask)] {{
    try runner.copy(values.withUnsafeBufferPointer {{ Data(buffer: $0) }}, toInputNamed: name)
}}
try runner.invoke()
let data = try runner.output(named: "{first}").data
let {first} = data.withUnsafeBytes {{ Array($0.bindMemory(to: Float.self)) }}
```"""

_BROWSER = """```js
// npm install @litertjs/core; its folder wasm/ is served beside the model
import {{ loadLiteRt, loadAndCompile, Tensor }} from "@litertjs/core";
import {{ BertTokenizer }} from "./bert_tokenizer.mjs";
await loadLiteRt("/wasm/");
const model = await loadAndCompile("/{name}", {{ accelerator: "wasm" }});
const pieces = (await (await fetch("/vocab.txt")).text()).split("\\n");
const tokenizer = new BertTokenizer(pieces, {{ lowercase: {lowercase} }});
const encoded = tokenizer.encode("a warm film", {{ length: {length} }});
const inputs = Object.fromEntries(["token_ids", "segment_ids", "padding_mask"].map(
  (name) => [name, new Tensor(encoded[name], [1, {length}])]));
const outputs = await model.run("{signature}", inputs);
const {first} = outputs.{first}.toTypedArray();
```"""

# fmt: on
_LIBRARIES = """The file has the metadata of {readers}, which tokenise by themselves: give them the
file and a text. Their tokenisers map only A-Z to lower case; accents, other capitals and control characters
become other ids than the model has learnt from. Without them:
"""
_TEXTS = """The file takes texts: it carries the tokeniser, as the custom operations
{custom_ops}. An application registers those of tensorflow-text
before it opens the file: in Python `tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS`, in C++ those in
`tensorflow_text/core/kernels` of its repository. The three tokenisers here are for files that take ids.
"""


def readme(bert, artefact, report: dict, fingerprint: str) -> str:
    """The text of `README.md`.

    Args:
        bert: `Bert` with a task.
        artefact: `proof.Artefact`. The file, which has answered its questions.
        report: of `tflite.write`.
        fingerprint: str. SHA-256 of the file.
    """
    name = report["path"].replace("\\", "/").rpartition("/")[2]
    signatures = "\n".join(
        f"| `{signature}` | {', '.join(each['inputs'])} | {', '.join(each['outputs'])} |"
        for signature, each in report["signatures"].items()
    )
    memory = report["peak_memory_bytes"]
    costs = {
        "size": f"{report['bytes'] / 1e6:.1f} MB",
        "oldest runtime": f"TFLite {report['min_runtime_version'] or 'not said by the converter'}",
        "opening the file": f"{1000 * report['load_seconds']:.0f} ms",
        "first answer": f"{report['first_answer_ms']:.1f} ms",
        "one text": f"{report['latency_ms']:.1f} ms (median), {report['latency_p99_ms']:.1f} ms (99 of 100)",
        "memory at its highest": f"{memory / 1e6:.0f} MB" if memory else "not measured",
    }
    table = "\n".join(f"| {what} | {value} |" for what, value in costs.items())
    labels = ""
    if report["labels"]:
        labels = f"Classes, in the order of the numbers: {', '.join(report['labels'])}.\n"
    return f"""# {name}

A model for the task `{bert.task.name}`, written by keras_bert: {report["quantize"]}, SHA-256
`{fingerprint}`.

| signature | takes | answers |
|---|---|---|
{signatures}

{labels}
## What it costs

On the machine that wrote it, two threads, in a process of its own; a phone is slower.

| | |
|---|---|
{table}

Operations: {", ".join(report["ops"])}.

## Running it

{_running(bert, artefact, report, name)}
## Testing an application

`test_vectors.json` holds texts, the ids they become, and what this file answered. Ids must be equal; numbers
may differ by a thousandth from chip to chip. What ids mean is in `vocab.txt` (a piece a line, from 0).
"""


def _running(bert, artefact, report, name) -> str:
    if report["custom_ops"]:
        return _TEXTS.format(custom_ops=", ".join(report["custom_ops"]))
    lengths = report["lengths"]
    signature = min(lengths, key=lengths.get)
    asked = [question.signature for question in artefact.questions]
    answer = artefact.answers[asked.index(signature)]
    first = max(answer, key=lambda output: answer[output].size)
    values = {
        "name": name,
        "signature": signature,
        "length": lengths[signature],
        "lowercase": str(bert.tokenizer.lowercase).lower(),
        "first": first,
        "kotlin_outputs": ", ".join(_kotlin_output(output, array) for output, array in answer.items()),
    }
    parts = (("Android", _ANDROID), ("iOS", _IOS), ("Browser", _BROWSER))
    shown = "\n\n".join(f"### {title}\n\n{snippet.format(**values)}" for title, snippet in parts)
    if report["metadata"]:
        return f"{_LIBRARIES.format(readers=KINDS[report['metadata']['kind']].readers)}\n{shown}\n"
    if len(lengths) == 1:
        return f"{shown}\n"
    by_length = ", ".join(f"`{each}` {length}" for each, length in lengths.items())
    return (
        f"The signatures differ in length ({by_length}): ask the shortest that holds the text.\n\n{shown}\n"
    )


def _kotlin_output(name, array) -> str:
    kind = {"f": "Float", "i": "Int"}[array.dtype.kind]
    return f'"{name}" to {kind}Buffer.allocate({array.size})'
