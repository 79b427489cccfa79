"""Use a trained prompt: rows in, answers out.

    python -m rpt.predict run=results/runs/TASK/BACKBONE/PROMPT/ID input=rows.jsonl output=answers.jsonl

run            the folder of a finished run, with its prompt.safetensors
input          rows of the run's task, one JSON object a line, in the schema of the official files or of the hub, or a
               .csv file; labels are not needed; left out: standard input
output         a file for the answers; left out: standard output
submission     true: write what the SuperGLUE server takes instead, for the task's whole official test file given as
               input: the folder `output` gets BoolQ.jsonl (CB.jsonl, ...), checked; zip the files of all tasks and hand
               them in. A run of RTE answers the official rows of AX-b and AX-g too, each in a file of its own
stream         true: answer each row of standard input when its line is there, for pipes and services; a line that is no
               row is answered with {"error": ...}, and the next one is read
batch_size     rows per forward pass (64); for an encoder, each choice of COPA and each entity of ReCoRD counts as one
precision      of the backbone: fp32, bf16, or auto (what training takes on this machine)
backbone.path  where the backbone lies now, if not where the run had it from

An answer is one line for each example (a nested row of MultiRC or ReCoRD holds several): its idx (a row without one has
its number in the input; MultiRC's and ReCoRD's need one), the `text` that was written, and

label          the label that the text is; if it is none ("answered": false), the most probable label
probabilities  of each label; that of `label` is the largest. The softmax over minus each label's gap: how much less
               likely its word is than the greedy choice, summed over the word's tokens
probability    instead, where answers are open (ReCoRD, WSC): of the whole text

ReCoRD has no label, its text is the answer, unless it is no entity of the row ("answered": false). WSC's is True if the
text and the noun contain one another.

An encoder writes nothing: its head decides for a label, or for one of ReCoRD's entities, which is the text then; the
probabilities are those of the labels or of the entities.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rpt.cli import argument, required, run_command
from rpt.config import PRECISIONS_OF_USE, check_choice, hub_model
from rpt.data import miniature
from rpt.data.csv_rows import read_csv_rows
from rpt.data.json_lines import read_json_lines
from rpt.data.rows import LocatedRow, parse_rows
from rpt.errors import UsageError
from rpt.files import check_writable, reason_of, write_atomically
from rpt.hub import require_repos
from rpt.streams import takes_any_letter
from rpt.tasks import Example, Task
from rpt.tasks.custom import CustomTask
from rpt.tasks.submission import SubmissionError, check_test_rows, file_name, lines

if TYPE_CHECKING:
    from rpt.backbones import Answer
    from rpt.inference.saved_run import SavedRun
    from rpt.inference.server import PromptServer

log = logging.getLogger("rpt")


@dataclass
class PredictArguments:
    run: str = required("results/runs/TASK/BACKBONE/PROMPT/ID")
    input: str = "-"
    output: str = "-"
    submission: bool = False
    batch_size: int = 64
    precision: str = "auto"
    stream: bool = False
    backbone_path: str | None = argument("backbone.path", None)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch_size={self.batch_size} must be 1 or more.")
        check_choice("precision", self.precision, PRECISIONS_OF_USE)
        if self.submission and (self.prints or os.path.isfile(self.output_path)):
            raise UsageError("submission=true writes a file of the server's name into a folder; give output=FOLDER.")
        if not self.submission and not self.prints and os.path.isdir(self.output_path):
            raise UsageError(f"output={self.output_path} is a folder; give a file (or submission=true).")
        if not self.prints and os.path.abspath(self.output_path) == os.path.abspath(os.path.expanduser(self.input)):
            raise UsageError(f"output={self.output} is the input, which it would replace; give another file.")
        if self.stream and (self.submission or self.input != "-" or not self.prints):
            raise UsageError("stream=true reads standard input and writes standard output; give run=FOLDER alone.")

    @property
    def prints(self) -> bool:
        return self.output == "-"

    @property
    def output_path(self) -> Path:
        return Path(os.path.expanduser(self.output))


def predict(arguments: PredictArguments) -> None:
    """What the command does.

    Raises:
        UsageError: the record, a row, a file or the backbone cannot be used.
    """
    from rpt.inference.saved_run import open_saved_run  # slow to import

    path, submission = arguments.output_path, arguments.submission
    rows = None if arguments.input == "-" else read_rows(arguments.input)  # a wrong file is told at once
    run = open_saved_run(arguments.run)
    if submission and isinstance(run.task, CustomTask):
        raise UsageError(
            f"Task {run.task.name} is none of SuperGLUE's, so its server takes no answers; leave out submission."
        )
    if arguments.stream:
        server = load_server(run, arguments.precision, arguments.backbone_path)
        for line in answer_stream(run, server, sys.stdin.buffer):
            print(json.dumps(line, ensure_ascii=not takes_any_letter()), flush=True)
        return
    rows = read_rows("-") if rows is None else rows
    if not (submission or run.task.group_by):  # a row without idx has its number in the input
        rows = [(place, {"idx": i, **row}) for i, (place, row) in enumerate(rows)]
    examples = parse_rows(run.task, name_of(arguments.input), rows)
    if submission:
        try:
            path = path / file_name(run.task, (row for _, row in rows))
            check_test_rows(run.task, [row for _, row in rows], examples, path.name)
        except SubmissionError as error:
            raise UsageError(f"{name_of(arguments.input)} is not the task's test rows, each once. {error}") from error
    if not arguments.prints:
        check_writable(path, "output")
    warn_of_foreign_rows(run, examples)
    answers = answer_examples(run, examples, arguments.batch_size, arguments.precision, arguments.backbone_path)
    warn_of_no_answers(run.task, answers)
    if submission:
        written = write_submission(run.task, examples, answers)
    else:
        escaped = arguments.prints and not takes_any_letter()
        written = [json.dumps(answer.as_line(), ensure_ascii=escaped) for answer in answers]
    if arguments.prints:
        print("\n".join(written))
        return
    write_atomically(path, "".join(line + "\n" for line in written).encode())
    print(f"{len(answers)} answers: {path}", file=sys.stderr)


def read_rows(source: str) -> list[LocatedRow]:
    """The rows in a file of JSON lines or a CSV file, or in standard input for "-".

    Raises:
        UsageError: the file cannot be read, or a line of it is no row.
    """
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(os.path.expanduser(source)).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"input={source} cannot be read ({reason_of(error)}); give a file with a JSON object a line, or a .csv."
        ) from error
    read = read_csv_rows if source.lower().endswith(".csv") else read_json_lines
    return list(read(content, name_of(source)))


def name_of(source: str) -> str:
    return "standard input" if source == "-" else source


def answer_examples(
    run: SavedRun, examples: Sequence[Example], batch_size: int, precision: str, backbone_path: str | None
) -> list[Answer]:
    """The prompt's answers.

    Raises:
        UsageError: the backbone cannot be had, or is not the one that the prompt was trained for.
    """
    server = load_server(run, precision, backbone_path)
    return server.answer([("run", example) for example in examples], batch_size, progress=True)


def load_server(run: SavedRun, precision: str, backbone_path: str | None) -> PromptServer:
    """The prompt as "run" before its backbone.

    Raises:
        UsageError: the backbone cannot be had, or is not the one that the prompt was trained for.
    """
    if backbone_path is None:
        require_repos(hub_model(run.config.backbone).items())
    from rpt.inference.server import open_server  # slow to import

    return open_server({"run": run}, precision, backbone_path)


def answer_stream(run: SavedRun, server: PromptServer, lines: Iterable[bytes]) -> Iterator[dict[str, object]]:
    """Yield the answers to each line before reading the next; for a line that is no row, what is wrong with it."""
    number, warned = 0, False
    for place, line in enumerate(lines, start=1):
        try:
            for _, row in read_json_lines(line, name_of("-"), place):
                examples = server.parse("run", row if run.task.group_by else {"idx": number, **row})
                number += 1
                warned = warned or warn_of_foreign_rows(run, examples)
                yield from (answer.as_line() for answer in server.answer([("run", example) for example in examples]))
        except UsageError as error:
            yield {"error": str(error)}


def warn_of_foreign_rows(run: SavedRun, examples: Sequence[Example]) -> bool:
    """Warn of examples with words that no row of the miniature has, if the prompt was trained there; returns whether
    there are any."""
    if not run.result["data"]["miniature"]:
        return False
    known = words_of_miniature(run.task, run.config.data.mini_seed)
    foreign = sum(not words_of(example) <= known for example in examples)
    if foreign:
        log.warning(
            "The prompt was trained on the miniature, and %d of %d rows have words that the miniature lacks: its "
            "answers to them mean nothing; give rows of the miniature, or a prompt that was trained on real ones.",
            foreign,
            len(examples),
        )
    return foreign > 0


@functools.cache
def words_of_miniature(task: Task, seed: int) -> set[str]:
    """The words of all its training rows."""
    examples = (example for row in miniature.rows(task.name, "train", seed) for example in task.parse(row))
    return set().union(*map(words_of, examples))


def words_of(example: Example) -> set[str]:
    """The words of the example's texts, in lower case."""
    texts = (value for value in example.fields.values() if isinstance(value, str))
    return {word for text in texts for word in re.findall(r"\w+", text.lower())}


def warn_of_no_answers(task: Task, answers: Sequence[Answer]) -> None:
    """Say how many texts are no answers, where there are any."""
    if unanswered := sum(not answer.answered for answer in answers):
        kind = "label" if task.labels else "answer"
        log.warning("%d of %d texts are no %s of the task.", unanswered, len(answers), kind)


def write_submission(task: Task, examples: Sequence[Example], answers: Sequence[Answer]) -> list[str]:
    """The lines of the server's file. Where the backbone wrote no label it has the most probable one: the server wants
    an answer to each row."""
    return lines(task, examples, [a.text if a.label is None else task.labels.index(a.label) for a in answers])


def main() -> None:
    """The command line."""
    run_command(__doc__, PredictArguments, predict)


if __name__ == "__main__":
    main()
