"""The guards of the house: who may import whom, what no file may contain, what the README promises.

A guard is a function that returns the faults of one source file, so that
`test_every_guard_sees_a_planted_fault_and_no_other` can hand it one.
"""

import ast
import dataclasses
import functools
import itertools
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
READMES = ("README.md", "README.zh.md")

# A room sees itself and the rooms of the lines above its own. Rooms of one line do not see one another,
# but for those of the first line. "" stands for the public names of keras_bert/__init__.py.
LEVELS = (
    ("config", "features", "errors", "files"),
    ("text", "layers", "evaluation"),
    ("encoder", "heads", "corpus", "data"),
    ("training",),
    ("tasks",),
    ("checkpoints", "inference", "reports", "search"),
    ("export",),
    ("saving",),
    ("bert",),
    ("loading",),
    ("",),
    ("recipes",),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
FILES_SEES = {"files", "errors"}  # it knows nothing of BERT
EXPORT_SEEN_BY = {"export", "bert", "cli"}  # and by the last two inside functions only
HOMES = {  # the only files that may import the package; a bare file name stands for any room
    "tensorflow_text": ("keras_bert/text/in_graph.py", "export/tflite.py"),
    "keras_nlp": ("keras_bert/checkpoints/keras_nlp.py", "generation.py"),
    "keras_hub": ("keras_bert/checkpoints/keras_nlp.py", "generation.py"),
}
RUNS_CODE = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNS_CODE_BY_NAME = re.compile(r"eval|exec|(.+\.)?Lambda|allow_pickle=(?!False).+|safe_mode=(?!True).+")
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 60


@dataclasses.dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, and its text."""

    path: str
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        parts = pathlib.PurePosixPath(self.path).with_suffix("").parts
        parts = ("keras_bert", *parts) if parts[0] == "export" else parts
        return ".".join(part for part in parts if part != "__init__")

    def __str__(self):
        return self.path


SOURCES = [
    Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    for folder in ("keras_bert", "export")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def room_of(module: str) -> str:
    """The room a dotted name of ours lies in; what is no room is one of the public names."""
    return next((part for part in module.split(".")[1:2] if part in LEVEL), "")


def imports_of(source: Source):
    """Yields (dotted name, line, lazy) of every import, at the top or in a function.

    A string that names a module of ours is a lazy import of it, as in a registry; a string handed to
    `import_module` is one of whatever it names.
    """
    functions = (n for n in ast.walk(source.tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    lazy = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(source.tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{source}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"keras_bert(\.\w+)+[.:]?\w*", node.value) and room_of(node.value):
                yield node.value, node.lineno, True
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            names = [
                a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)
            ]
        for name in names:
            yield name, node.lineno, id(node) in lazy


def wrong_direction(source: Source) -> list[str]:
    """Imports that run against LEVELS."""
    here, faults = room_of(source.module), []
    for name, line, lazy in imports_of(source):
        if name.split(".")[0] != "keras_bert" or name == "keras_bert.__version__":
            continue
        there = room_of(name)
        same_line = LEVEL[there] == LEVEL[here] == 0
        seen = there == here or LEVEL[there] < LEVEL[here] or same_line
        if here == "files":
            seen = there in FILES_SEES
        if there == "export":
            seen = here in EXPORT_SEEN_BY and (lazy or here == "export")
        if not seen:
            faults.append(f"{source}:{line}: {here or 'the public names'} may not import {name}")
    return faults


def away_from_home(source: Source) -> list[str]:
    """Imports of a package outside the few files that may import it."""
    return [
        f"{source}:{line}: {name} may only be imported in {' and '.join(homes)}"
        for name, line, _ in imports_of(source)
        if (homes := HOMES.get(name.split(".")[0]))
        and source.path not in homes
        and source.path.split("/")[-1] not in homes
    ]


def runs_code(source: Source) -> list[str]:
    """Ways to run code that came with data."""
    faults = [
        f"{source}:{line}: imports {name}"
        for name, line, _ in imports_of(source)
        if name.split(".")[0] in RUNS_CODE
    ]
    return faults + [
        f"{source}:{node.lineno}: {code}"
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.Name, ast.Attribute, ast.keyword))
        and RUNS_CODE_BY_NAME.fullmatch(code := ast.unparse(node))
    ]


def too_long(source: Source) -> list[str]:
    """Files over MAX_FILE_LINES, and functions whose lines without the docstring are over theirs."""
    lines = len(source.text.splitlines())
    faults = [f"{source}: {lines} lines"] if lines > MAX_FILE_LINES else []
    for node in ast.walk(source.tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        length = node.end_lineno - node.lineno + 1
        if ast.get_docstring(node) is not None:
            length -= node.body[0].end_lineno - node.body[0].lineno + 1
        if length > MAX_FUNCTION_LINES:
            faults.append(f"{source}:{node.lineno}: {node.name} has {length} lines")
    return faults


def task_names() -> list[str]:
    """The keys of the registry: the string keys of the dicts at the top of keras_bert/tasks/__init__.py."""
    registry = next(source for source in SOURCES if source.module == "keras_bert.tasks")
    dicts = (n.value for n in registry.tree.body if isinstance(n, (ast.Assign, ast.AnnAssign)))
    keys = (key for value in dicts if isinstance(value, ast.Dict) for key in value.keys)
    return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def names_a_task(source: Source, names: list[str]) -> list[str]:
    """Lines of export/ where a task is named: as a word, in snake_case or in CamelCase, comments included."""
    if not source.path.startswith("export/"):
        return []
    words = {name: re.compile(rf"(?<![a-z]){name.replace('_', '[ _-]?')}(?![a-z])") for name in names}
    faults = []
    for number, line in enumerate(source.text.splitlines(), start=1):
        plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", line).lower()
        faults += [f"{source}:{number}: names the task {name}" for name in names if words[name].search(plain)]
    return faults


@pytest.mark.parametrize("guard", [wrong_direction, away_from_home, runs_code, too_long])
def test_every_file_keeps_the_rules_of_the_house(guard):
    assert list(itertools.chain.from_iterable(map(guard, SOURCES))) == []


def test_no_task_is_named_under_export():
    names = task_names()
    assert names or not list((ROOT / "keras_bert/tasks").glob("[a-z]*.py")), "the registry cannot be read"
    assert [fault for source in SOURCES for fault in names_a_task(source, names)] == []


names_span_search = functools.partial(names_a_task, names=["span_search"])
PLANTED = [  # guard, number of faults, file, its text
    (wrong_direction, 1, "keras_bert/text/a.py", "from keras_bert.layers import pooling"),
    (wrong_direction, 1, "keras_bert/training/a.py", "def f():\n    from keras_bert import tasks"),
    (wrong_direction, 1, "keras_bert/data/a.py", "HOME = {'a': 'keras_bert.tasks.a:A'}"),
    (wrong_direction, 1, "keras_bert/tasks/a.py", "import keras_bert as kb"),
    (wrong_direction, 1, "keras_bert/files/a.py", "from keras_bert.config import BertConfig"),
    (wrong_direction, 1, "keras_bert/recipes/a.py", "def f():\n    import keras_bert.export.proof"),
    (wrong_direction, 1, "keras_bert/bert.py", "from keras_bert import export"),
    (wrong_direction, 0, "keras_bert/bert.py", "def f():\n    from keras_bert import export"),
    (wrong_direction, 1, "export/a.py", "def f():\n    from keras_bert.bert import Bert"),
    (wrong_direction, 0, "export/a.py", "from keras_bert import __version__\nNAME = 'keras_bert.json'"),
    (away_from_home, 1, "keras_bert/text/a.py", "importlib.import_module('tensorflow_text')"),
    (away_from_home, 1, "keras_bert/tasks/a.py", "def f():\n    from keras_hub import samplers"),
    (away_from_home, 0, "keras_bert/bert.py", "from keras_bert.checkpoints import keras_nlp"),
    (runs_code, 1, "keras_bert/a.py", "import pickle"),
    (runs_code, 1, "keras_bert/a.py", "eval('1')"),
    (runs_code, 1, "keras_bert/a.py", "layers.Lambda(f)"),
    (runs_code, 1, "keras_bert/a.py", "np.load(path, allow_pickle=True)"),
    (runs_code, 0, "keras_bert/a.py", "import pickletools\nmodel.eval()\nnp.load(p, allow_pickle=False)"),
    (too_long, 1, "keras_bert/a.py", "a = 1\n" * 301),
    (too_long, 1, "keras_bert/a.py", "def f():\n    'Doc.'\n" + "    a = 1\n" * 60),
    (too_long, 0, "keras_bert/a.py", "def f():\n    'Doc.'\n" + "    a = 1\n" * 59),
    (names_span_search, 1, "export/a.py", "class SpanSearchHead: pass"),
    (names_span_search, 1, "export/a.py", "# for span search only"),
    (names_span_search, 0, "export/a.py", "span = searches"),
]


@pytest.mark.parametrize(("guard", "faults", "path", "text"), PLANTED)
def test_every_guard_sees_a_planted_fault_and_no_other(guard, faults, path, text):
    assert len(guard(Source(path, text))) == faults


def test_every_room_has_its_place_in_the_order():
    assert {source.module.split(".")[1] for source in SOURCES if "." in source.module} <= set(LEVEL)


def test_no_two_test_files_share_a_name():
    # pytest imports a test file by its bare name: of two alike, the second one's tests do not run.
    paths = sorted((ROOT / "tests").rglob("test_*.py"), key=lambda path: path.name)
    alike = {name: list(group) for name, group in itertools.groupby(paths, key=lambda path: path.name)}
    assert {name: group for name, group in alike.items() if len(group) > 1} == {}


def test_every_folder_of_code_is_a_package_that_is_shipped():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {source.path.rpartition("/")[0] for source in SOURCES}
    assert {folder for folder in folders if not (ROOT / folder / "__init__.py").exists()} == set()
    names = {folder.replace("/", ".").replace("export", "keras_bert.export") for folder in folders}
    assert sorted(setuptools["packages"]) == sorted(names)
    assert setuptools["package-dir"]["keras_bert.export"] == "export"


def fenced_blocks(readme: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for marked, block in blocks if marked == language]


def tree_paths(readme: str) -> list[str]:
    """The paths of the README's tree: names indented under their folder, a description two blanks after."""
    [tree] = [block for block in fenced_blocks(readme, "") if re.search("^keras_bert/", block, re.MULTILINE)]
    paths, folders = [], []
    for line in tree.splitlines():
        indent, names = re.fullmatch(r"([\s│├└─]*)(.*?)(?:\s{2}.*)?", line).groups()
        while folders and folders[-1][0] >= len(indent):
            folders.pop()
        for name in names.split():
            assert re.fullmatch(r"LICENSE|\.ci/run|[\w./-]+/|[\w./-]*\.\w+", name), f"{readme}: {line}"
            paths.append("".join([*(folder for _, folder in folders), name]))
        if names.endswith("/"):
            folders.append((len(indent), names))
    return paths


@pytest.mark.parametrize("readme", READMES)
def test_every_path_of_the_readme_tree_exists(readme):
    paths = tree_paths(readme)
    assert {"keras_bert/", "export/", "tests/"} <= set(paths)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_both_readmes_hold_the_same_code():
    english, chinese = ([ast.dump(ast.parse(b)) for b in fenced_blocks(r, "python")] for r in READMES)
    assert english and english == chinese
