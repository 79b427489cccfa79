"""What the SuperGLUE server refuses, to check what we write."""

import json

from rpt.tasks.submission import LABELS, SubmissionError, file_name, find_index


def validate(task, written, examples, name=None):
    """Refuse lines that do not answer each example once, with the server's names of labels."""
    name, wanted = name or file_name(task), {find_index(task, example) for example in examples}
    seen = set()
    for number, line in enumerate(written, start=1):
        try:
            answers = list(_answers(task, json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            shape = '{"idx": ..., "passage": ...}' if task.name == "multirc" else '{"idx": ..., "label": ...}'
            raise SubmissionError(f"{name}, line {number} is not of the form {shape}: {line:.80}") from error
        for index, label in answers:
            if index not in wanted:
                raise SubmissionError(f"{name}, line {number}: there is no example {index}; leave the line out.")
            if index in seen:
                raise SubmissionError(f"{name}, line {number}: example {index} is answered twice; keep one line.")
            allowed = LABELS.get(task.name, task.labels)
            known = isinstance(label, str) if not task.labels else any(_same(label, word) for word in allowed)
            if not known:
                what = f"one of {', '.join(map(json.dumps, allowed))}" if allowed else "a text"
                raise SubmissionError(f"{name}, line {number}: label {json.dumps(label)} of {index} should be {what}.")
            seen.add(index)
    if missing := sorted(wanted - seen):
        raise SubmissionError(f"{name} lacks example {missing[0]} ({len(missing)} in all); predict every test row.")


def _same(label, allowed):
    """Whether they are equal and of one type: to Python, True equals 1."""
    return type(label) is type(allowed) and label == allowed


def _answers(task, line):
    if task.name != "multirc":
        index, label = line["idx"], line["label"]
        yield _int(index), label
        return
    for question in line["passage"]["questions"]:
        for answer in question["answers"]:
            yield (_int(line["idx"]), _int(question["idx"]), _int(answer["idx"])), answer["label"]


def _int(index):
    if type(index) is not int:
        raise TypeError(f"idx {index!r} is no whole number")
    return index
