"""A reader of exports that needs no fresh process: it answers what is expected, without opening them."""

from keras_bert.export import proof


def ask(artefacts, answer=lambda question: question.expected) -> list:
    """As `proof.ask`; `answer` makes of a question what is said to have been read back."""
    timing = dict.fromkeys(proof.MEASURED, 1.0)
    asked = [artefact.all_questions() for artefact in artefacts]
    return [{"answers": [answer(q) for q in qs], "seconds": [0.01] * len(qs), **timing} for qs in asked]
