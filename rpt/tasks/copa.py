"""COPA: which choice is cause or effect?"""

from rpt.tasks.base import Task
from rpt.tasks.examples import Decision, Example, Reading
from rpt.tasks.fields import RawRow


class COPA(Task):
    name, folder, hub_config = "copa", "COPA", "copa"
    labels = ("choice1", "choice2")
    paper_labels = ("false", "true")
    columns = ("choice1", "choice2", "premise", "question")
    encoder_outputs = 1

    def example(self, row: RawRow) -> Example:
        example = super().example(row)
        if (question := example.fields["question"]) not in ("cause", "effect"):
            raise ValueError(f"field 'question' should be cause or effect, found {question!r:.80}")
        return example

    def decisions(self, example: Example) -> list[Decision]:
        """The encoder reads and scores each choice separately."""
        fields = example.fields
        conjunction = "because" if fields["question"] == "cause" else "so"
        choices = (fields["choice1"], fields["choice2"])
        readings = tuple(Reading((fields["premise"], f"{conjunction} {choice}")) for choice in choices)
        return [Decision(readings, example.label)]
