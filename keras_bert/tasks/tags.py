"""Tags of the schemes IO, BIO and BIOES, and the spans that they spell; NumPy and Python only.

entity types   PER, LOC
BIO            O, B-PER, I-PER, B-LOC, I-LOC
BIOES          O, B-PER, I-PER, E-PER, S-PER, ...
IO             O, PER, LOC
tags           NOUN, VERB, ...: every unit has one by itself, there is no outside
"""

import dataclasses

from keras_bert.data.columns import check_encodable
from keras_bert.data.spans import OUTSIDE
from keras_bert.errors import DataError

SCHEMES = {"BIO": "BI", "BIOES": "BIES", "IO": ("",), "tags": ("",)}
_BEGINS, _ENDS = "BS", "ES"


@dataclasses.dataclass(frozen=True)
class Tags:
    """What each tag means.

    Args:
        names: tuple of str. The tags, in the order of the logits.
        types: tuple of str. The entity types, in the order in which the tags name them first.
        type_of: tuple of int. The type of each tag; -1 for the outside.
        prefixes: tuple of str. The place in a span that each tag says, "B", "I", "E", "S", or "".
        begins, ends: tuple of bool. Whether a span always begins or ends at this tag.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    type_of: tuple[int, ...]
    prefixes: tuple[str, ...]
    begins: tuple[bool, ...]
    ends: tuple[bool, ...]

    def of_type(self, prefix: str) -> list[int]:
        """For every type the tag that a unit has at this place of a span: "B", "I", "E" or "S".

        A scheme that does not tell them apart has one tag for several places.
        """
        return [self._tag(name, prefix) for name in self.types]

    @property
    def outside(self) -> int:
        """The tag of units in no span; -1 where every unit has a type."""
        return self.names.index(OUTSIDE) if OUTSIDE in self.names else -1

    def allowed(self) -> tuple[list, list, list]:
        """Which tag may follow which (C, C), which may come first (C,), and which last (C,): 0 or 1."""
        # A continuation goes on with its own type; where E and S close a span, nothing else does.
        goes_on = [prefix in ("I", "E") for prefix in self.prefixes]
        has_ends = any(self.ends)
        is_open = [
            has_ends and not ends and kind >= 0 for ends, kind in zip(self.ends, self.type_of, strict=True)
        ]
        follows = [
            [
                int(
                    (kind == self.type_of[before] and not self.ends[before])
                    if goes_on[after]
                    else not is_open[before]
                )
                for after, kind in enumerate(self.type_of)
            ]
            for before in range(len(self.names))
        ]
        return follows, [int(not on) for on in goes_on], [int(not still) for still in is_open]

    def _tag(self, kind: str, prefix: str) -> int:
        # BIO has no E and no S: an end is inside, a single unit a beginning.
        for candidate in (prefix, {"E": "I", "S": "B"}.get(prefix, prefix)):
            if f"{candidate}-{kind}" in self.names:
                return self.names.index(f"{candidate}-{kind}")
        for candidate in ("I", "B"):
            if f"{candidate}-{kind}" in self.names:
                return self.names.index(f"{candidate}-{kind}")
        return self.names.index(kind)


def tags_of(labels, scheme: str = "BIO") -> Tags:
    """The tags of entity types, or of tags themselves.

    Args:
        labels: sequence of str. Entity types, which become the scheme's tags; or, where "O" is among them
            or several are all written as "B-PER" is, the tags as they are, in the order of the logits. Of
            "E-mail" and "person" both are types.
        scheme: str. One of `SCHEMES`.
    Raises:
        DataError: no such scheme, or a label twice.
    """
    if scheme not in SCHEMES:
        raise DataError(f"There is no scheme {scheme!r}", where="scheme", expected=", ".join(SCHEMES))
    labels = tuple(str(label) for label in labels)
    for label in labels:
        check_encodable("label", label, "labels")
    if not labels or len(set(labels)) != len(labels):
        raise DataError(
            "A label is named twice" if labels else "There is no label", where="labels",
            expected="distinct entity types, or distinct tags",
        )  # fmt: skip
    are_tags = OUTSIDE in labels or (len(labels) > 1 and all(_split(label)[0] for label in labels))
    if scheme != "tags" and not are_tags:
        prefixes = SCHEMES[scheme]
        labels = (OUTSIDE, *(f"{p}-{kind}" if p else kind for kind in labels for p in prefixes))
    prefixes, kinds = zip(*(_read(label, labels, scheme) for label in labels), strict=True)
    types = tuple(dict.fromkeys(kind for kind in kinds if kind is not None))
    by_itself = scheme == "tags"
    return Tags(
        names=labels,
        types=types,
        type_of=tuple(-1 if kind is None else types.index(kind) for kind in kinds),
        prefixes=prefixes,
        begins=tuple(by_itself or (bool(prefix) and prefix in _BEGINS) for prefix in prefixes),
        ends=tuple(by_itself or (bool(prefix) and prefix in _ENDS) for prefix in prefixes),
    )


def _read(label: str, labels, scheme: str) -> tuple[str, str | None]:
    """(place in a span, type) of a tag; the type of the outside is None.

    Where tags have no places, "E-mail" is a type; but IO may be written with an "I-" before every type.
    """
    if label == OUTSIDE:
        return "", None
    if scheme == "tags" or (scheme == "IO" and not all(n.startswith("I-") for n in labels if n != OUTSIDE)):
        return "", label
    return _split(label)


def _split(tag: str) -> tuple[str, str]:
    """("B", "PER") of "B-PER"; ("", tag) of a tag without a prefix."""
    prefix, dash, kind = tag.partition("-")
    return (prefix, kind) if dash and prefix in ("B", "I", "E", "S") else ("", tag)
