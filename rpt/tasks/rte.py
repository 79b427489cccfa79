"""RTE. Does the premise entail the hypothesis?

A prompt trained on RTE also answers the benchmark's two diagnostic sets: AX-b, whose rows call the two texts sentence1
and sentence2, and AX-g.
"""

from collections.abc import Iterable

from rpt.tasks.base import Task
from rpt.tasks.fields import RawRow

AX_B = ("sentence1", "sentence2")


class RTE(Task):
    name, folder, hub_config = "rte", "RTE", "rte"
    labels = ("entailment", "not_entailment")
    columns = ("premise", "hypothesis")
    superglue_columns = ("hypothesis", "premise")

    def flatten(self, row: RawRow) -> Iterable[RawRow]:
        if "sentence1" not in row:
            return [row]
        texts = {ours: row[theirs] for ours, theirs in zip(self.columns, AX_B, strict=True) if theirs in row}
        return [{**row, **texts}]
