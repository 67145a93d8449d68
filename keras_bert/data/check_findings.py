"""From counts to findings: how bad each is, what it says, and what to do about it."""

from collections.abc import Iterator

from keras_bert.data.check_texts import LONG, SHORT, normalised, suggested_length

LEVELS = ("grave", "warning", "note")
# Shares from which on a matter is a warning rather than a note.
_MANY_REPEATS, _MANY_TRUNCATED, _MANY_UNKNOWN, _MAJORITY = 0.01, 0.05, 0.01, 0.8
_FEW, _TOO_MANY_CLASSES = 10, 1000
_SINGULAR = {"hold": "holds", "have": "has", "look": "looks"}
_DAMAGE = {
    "replacement_character": ("warning", "hold U+FFFD, which stands for bytes that were lost",
                              "read the original again with its true encoding (--encoding)"),
    "mojibake": ("warning", 'look as if UTF-8 had been read in another encoding ("Ã©" for "é")',
                 "read the original again as UTF-8, or repair it, such as with ftfy"),
    "html": ("warning", "hold HTML tags or entities", "unescape the texts (html.unescape) and drop the tags; "
             "do the same before serving"),
    "short": ("note", f"have fewer than {SHORT} characters", "see whether they say anything"),
    "wordless": ("note", "hold no letter and no digit", "see whether they say anything"),
    "long": ("note", f"have more than {LONG:,} characters", "see whether they are single texts"),
}  # fmt: skip


def findings(report: dict) -> list[dict]:
    """The findings of a report of `check_files`, the worst first."""
    found = [*_across(report), *_of_lengths(report)]
    for name, file in report["files"].items():
        found += [{**finding, "file": name} for finding in _of_file(file, report["max_length"])]
    return sorted(found, key=lambda finding: (LEVELS.index(finding["level"]), -finding["rows"]))


def _finding(level, kind, rows, what, remedy, examples=(), file=None) -> dict:
    return {"level": level, "kind": kind, "file": file, "rows": rows, "what": what, "remedy": remedy,
            "examples": list(examples)}  # fmt: skip


def _rows(count: int, one: str, many: str) -> str:
    return f"1 row {one}" if count == 1 else f"{count:,} rows {many}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or not share else "less than 0.1 %"


def _of_file(file: dict, max_length: int) -> Iterator[dict]:
    refused = file["unreadable"]
    if refused["rows"]:
        what = _rows(refused["rows"], "cannot be read", "cannot be read")
        ended = "; behind the last of them reading ended, and nothing is known of what follows"
        yield _finding("grave", "unreadable", refused["rows"], what + ended * refused["reading_ended"],
                       "training stops at the first: correct or drop them", refused["examples"])  # fmt: skip
    yield from _of_repeats(file)
    yield from _of_targets(file["targets"], file["rows"])
    for kind, found in file["texts"]["odd"].items():
        level, what, remedy = _DAMAGE[kind]
        verb, rest = what.split(" ", 1)
        what = _rows(found["rows"], f"{_SINGULAR[verb]} {rest}", what)
        yield _finding(level, kind, found["rows"], what, remedy, found["examples"])
    if "tokens" in file["texts"]:
        yield from _of_tokens(file["texts"]["tokens"], file["rows"], max_length, file["targets"]["kind"])
    for message in file["reader_warnings"]:
        yield _finding("warning", "reader", 0, message, "see whether this is meant")


def _of_repeats(file: dict) -> Iterator[dict]:
    found, total = file["contradictions"], file["rows"]
    if found["texts"] and file["targets"]["kind"] == "score":
        what = f"{found['texts']:,} texts occur with differing scores, in {found['rows']:,} rows"
        yield _finding("warning", "differing_scores", found["rows"], what, "give each text the mean of its "
                       "scores", found["examples"])  # fmt: skip
    elif found["texts"]:
        count = f"{found['texts']:,} texts occur" if found["texts"] > 1 else "1 text occurs"
        what = f"{count} with contradicting labels, in {found['rows']:,} rows"
        yield _finding("grave", "contradiction", found["rows"], what, "decide on one label for each text, or "
                       "drop its rows", found["examples"])  # fmt: skip
    for kind, how in (("exact", "exactly"), ("near", "but for case, width or white space")):
        count = file["repeats"][kind]
        if count:
            level = "warning" if count >= _MANY_REPEATS * total else "note"
            what = f"{_rows(count, 'repeats', 'repeat')} the text of an earlier one {how}"
            yield _finding(level, f"{kind}_repeat", count, f"{what} ({_per_cent(count / total)})",
                           "drop the repeats, unless their frequency is meant",
                           file["repeats"]["examples"][kind])  # fmt: skip


def _of_targets(targets: dict, rows: int) -> Iterator[dict]:
    if targets["unlabelled"]:
        what = _rows(targets["unlabelled"], "has no label", "have no label")
        yield _finding("warning", "unlabelled", targets["unlabelled"], what, "label or drop them")
    if targets.get("untrimmed"):
        count = targets["untrimmed"]
        what = f"{_rows(count, 'has', 'have')} white space around the label"
        yield _finding("note", "untrimmed_label", count, what, "keras-bert drops it, other programs may not: "
                       "strip the labels")  # fmt: skip
    if targets.get("answers_not_found"):
        count = targets["answers_not_found"]
        what = f"{count:,} answers do not occur in their contexts"
        yield _finding("warning", "answer_not_found", count, what, "they are scored, but cannot be learnt: "
                       "correct them where they are mistakes")  # fmt: skip
    if targets.get("cut_spans"):
        count = targets["cut_spans"]
        what = f"{count:,} spans begin or end within a word; the first: {targets['first_cut_span']}"
        yield _finding("warning", "cut_word", count, what, "a word has one tag, and they are never found: "
                       "move them to the ends of words")  # fmt: skip
    counts = targets.get("counts", {})
    for variants in _variants(counts):
        shown = " and ".join(f"{variant!r} ({counts[variant]:,})" for variant in variants)
        yield _finding("warning", "label_variants", sum(counts[v] for v in variants),
                       f"The labels {shown} differ in case or white space alone",
                       "write them alike: each is a class of its own")  # fmt: skip
    if targets["kind"] != "label":
        return
    if len(counts) < 2:
        yield _finding("warning", "one_class", rows, f"There is one class only, {next(iter(counts))!r}",
                       "see whether this is the column of the labels (--label_column)")  # fmt: skip
    elif len(counts) > _TOO_MANY_CLASSES or rows >= 20 and len(counts) > rows / 2:
        yield _finding("warning", "many_classes", rows, f"There are {len(counts):,} classes in {rows:,} rows",
                       "see whether this is the column of the labels (--label_column)")  # fmt: skip
        return
    elif targets["majority_share"] >= _MAJORITY:
        name = next(iter(counts))
        what = f"{_per_cent(targets['majority_share'])} of the rows are {name!r}"
        yield _finding("warning", "majority", counts[name], what, "whoever always answers so is right as "
                       "often: look at F1 or MCC, and train with --class_weights=balanced")  # fmt: skip
    few = {name: count for name, count in counts.items() if count < _FEW}
    if few and rows >= 10 * _FEW:
        shown = ", ".join(f"{name!r} ({count})" for name, count in list(few.items())[:10])
        yield _finding("note", "rare_class", sum(few.values()), f"{len(few)} classes have fewer than {_FEW} "
                       f"rows: {shown}", "label more of them, or merge the classes")  # fmt: skip


def _variants(names) -> list[list[str]]:
    """Names that are the same but for case and white space."""
    alike = {}
    for name in names:
        alike.setdefault(normalised(name), []).append(name)
    return [variants for variants in alike.values() if len(variants) > 1]


def _of_lengths(report: dict) -> Iterator[dict]:
    enough, given = report["suggested_length"], report["max_length"]
    if enough and enough < given:
        what = f"99 % of the rows of each file fit into {enough} pieces"
        remedy = f"--max_seq_length={enough} would do; it is faster wherever every row is padded to it"
        yield _finding("note", "short_texts", 0, what, remedy, file=next(iter(report["files"])))


def _of_tokens(tokens: dict, rows: int, max_length: int, kind: str) -> Iterator[dict]:
    cut, most = tokens["truncated"], tokens["lengths"]["99"]
    if cut and kind == "answers":
        what = f"{_rows(cut, 'is', 'are')} longer than {max_length} pieces ({_per_cent(cut / rows)})"
        yield _finding("note", "windows", cut, what, "nothing: they are read in windows of that length")
    elif cut:
        level = "warning" if cut >= _MANY_TRUNCATED * rows else "note"
        what = f"{_rows(cut, 'is', 'are')} cut at {max_length} pieces ({_per_cent(cut / rows)})"
        enough = suggested_length(most)
        reason = "99 % of the rows fit" if most <= enough else "most BERTs go no further"
        remedy = f"pass --max_seq_length={enough}: {reason}"
        if kind in ("label", "spans"):
            remedy += "; or read them in windows, which classification and tagging do with --stride"
        yield _finding(
            level, "truncated", cut, what, remedy if enough > max_length else "nothing: they are few"
        )
    if tokens["unknown_share"]:
        level = "warning" if tokens["unknown_share"] >= _MANY_UNKNOWN else "note"
        what = f"{_per_cent(tokens['unknown_share'])} of the pieces are [UNK], in "
        what += f"{tokens['rows_with_unknown']:,} of {rows:,} rows; most often "
        what += " ".join(map(repr, tokens["unknown_words"]))
        remedy = "if they are many: is it the vocabulary of this language and case (--nodo_lower_case)?"
        yield _finding(level, "unknown_pieces", tokens["rows_with_unknown"], what, remedy)


def _across(report: dict) -> Iterator[dict]:
    """Findings about a file beside the one that is trained on."""
    training, *others = report["files"].items()
    for name, file in others:
        leaks = report["leaks"][name]
        if leaks["rows"]:
            what = f"{_rows(leaks['rows'], 'has a text', 'have texts')} of the {training[0]} file "
            what += f"({_per_cent(leaks['share'])}; {leaks['other_label']:,} of them with another label)"
            remedy = f"drop the {leaks['training_rows']:,} rows of the {training[0]} file that hold them; "
            remedy += "scores on what was learnt by heart say too much"
            yield _finding("grave", "leak", leaks["rows"], what, remedy, leaks["examples"], name)
        yield from _of_classes(training, name, file)


def _of_classes(training, name: str, file: dict) -> Iterator[dict]:
    trained, here = (part["targets"].get("counts") for part in (training[1], file))
    if trained is None or here is None or file["targets"].get("more_names"):
        return
    new = {label: count for label, count in here.items() if label not in trained}
    missing = {label: count for label, count in trained.items() if label not in here}
    if new:
        remedy = f"training refuses them: correct them, or label rows of them for the {training[0]} file"
        yield _finding("grave", "new_class", sum(new.values()), _only(new, name), remedy, file=name)
    if missing:
        remedy = f"the {name} file cannot say how well they are learnt: add rows of them"
        what = _only(missing, training[0])
        yield _finding("note", "missing_class", sum(missing.values()), what, remedy, file=name)


def _only(counts: dict, name: str) -> str:
    shown = ", ".join(f"{label!r} ({count:,})" for label, count in list(counts.items())[:10])
    more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
    return f"These labels occur in the {name} file only: {shown}{more}"
