"""RTE. Does the premise entail the hypothesis?

The benchmark's two diagnostic sets ask the same and are answered by what was trained on RTE: AX-b, whose rows call the
two texts sentence1 and sentence2, and AX-g.
"""

from collections.abc import Iterable

from rpt.tasks.base import Task
from rpt.tasks.fields import Row

AX_B = ("sentence1", "sentence2")
MOST_DIGITS = 10  # of an idx, which AX-b writes as a text


class RTE(Task):
    name, folder, hub_config = "rte", "RTE", "rte"
    labels = ("entailment", "not_entailment")
    columns = ("premise", "hypothesis")
    superglue_columns = ("hypothesis", "premise")

    def flatten(self, row: Row) -> Iterable[Row]:
        if "sentence1" not in row:
            return [row]
        index = row.get("idx")
        if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < MOST_DIGITS:
            index = int(index)
        texts = {ours: row[theirs] for ours, theirs in zip(self.columns, AX_B, strict=True) if theirs in row}
        return [{**row, **texts, "idx": index}]
