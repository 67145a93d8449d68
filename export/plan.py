"""Which signatures a served model has, and what each is asked before it is published."""

import dataclasses

from keras_bert.export import foreign, probes
from keras_bert.export.signatures import DEFAULT, IDS, ids_signature, input_names, text_signatures


@dataclasses.dataclass
class Plan:
    """The two SavedModels of an export.

    Args:
        functions: dict of concrete functions by signature name; of the one that reads text.
        ids_functions: the same of the one that reads ids alone.
        columns: dict of str to list of str. The columns of each signature of text.
        questions, ids_questions: list of Question, to each of the two.
        methods: dict of str to str. The server's method, of signatures that are not for Predict.
    """

    functions: dict
    ids_functions: dict
    columns: dict
    questions: list
    ids_questions: list
    methods: dict


def planned(bert, columns=None, signature_names=None, examples=False, in_graph_batching=False) -> Plan:
    """The signatures that the options of `saved_model.write` ask for."""
    text, ids = text_signatures(bert, columns, in_graph_batching), ids_signature(bert, in_graph_batching)
    portable = ids_signature(bert, in_graph_batching, portable=True)
    questions = probes.ids_questions(bert, IDS)
    portable_questions = probes.ids_questions(bert, IDS, portable=True)
    if signature_names is None:
        default = portable
        by_default = [dataclasses.replace(question, signature=DEFAULT) for question in portable_questions]
    else:
        default = foreign.named_signature(bert, signature_names)
        by_default = foreign.named_questions(default, signature_names, questions, DEFAULT)
        text = {"_".join(input_names(text[DEFAULT])): text.pop(DEFAULT), **text}
    takes = {name: input_names(function) for name, function in text.items()}
    text_questions, methods = probes.text_questions(bert, takes), {}
    functions, whole = {**text, IDS: ids}, [*text_questions, *questions]
    if signature_names is not None:
        functions, whole = {DEFAULT: default, **functions}, [*by_default, *whole]
    if examples:
        first, takes_first = next(iter(takes.items()))
        name, methods_name, function = foreign.example_signature(bert, takes_first)
        functions[name], methods[name] = function, methods_name
        asked = [question for question in text_questions if question.signature == first]
        whole += foreign.example_questions(function, asked, name)
    ids_questions = [*by_default, *portable_questions]
    ids_functions = {DEFAULT: default, IDS: portable}
    return Plan(functions, ids_functions, takes, whole, ids_questions, methods)
