"""WiC: does the word have the same sense in both sentences?"""

from dataclasses import replace

from rpt.tasks.base import FALSE_TRUE, Task
from rpt.tasks.examples import Decision, Example, starred
from rpt.tasks.fields import Row, read


class WiC(Task):
    name, folder, hub_config = "wic", "WiC", "wic"
    labels = FALSE_TRUE
    paper_labels = ("false", "true")
    # Spans are character offsets, end exclusive; the published code writes them as plain numbers.
    columns = ("start1", "end1", "sentence1", "start2", "end2", "sentence2", "word")
    integers = ("start1", "end1", "start2", "end2")
    superglue_columns = ("pos", "sentence1", "sentence2", "word")
    encoder_marks = 2

    def example(self, row: Row) -> Example:
        example = super().example(row)
        if "pos" not in row:  # N or V; SuperGLUE's own files have dropped it, WiC's have it
            return example
        return replace(example, fields={**example.fields, "pos": read(row, "pos", str)})

    def decisions(self, example: Example) -> list[Decision]:
        """The word stands in stars in both sentences."""
        start1, end1, sentence1, start2, end2, sentence2 = (example.fields[column] for column in self.columns[:6])
        reading = starred([sentence1, sentence2], [(0, start1, end1), (1, start2, end2)])
        return [Decision((reading,), example.label)]
