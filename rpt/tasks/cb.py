"""CB (CommitmentBank): does who says the premise stand by the hypothesis? One of the three classes is rare."""

from collections.abc import Sequence
from typing import Any

from rpt.tasks.base import PROTOCOLS, Example, Task
from rpt.tasks.metrics import accuracy, macro_f1


class CB(Task):
    name, folder, hub_config = "cb", "CB", "cb"
    labels = ("entailment", "contradiction", "neutral")
    columns = {"premise": str, "hypothesis": str}
    superglue_columns = ("hypothesis", "premise")
    metrics = ("accuracy", "macro_f1")
    headline = dict.fromkeys(PROTOCOLS, metrics)

    def measure(
        self, examples: Sequence[Example], predictions: Sequence[Any], protocol: str
    ) -> dict[str, float]:
        gold = [example.label for example in examples]
        return {
            "accuracy": accuracy(gold, predictions),
            "macro_f1": macro_f1(gold, predictions, len(self.labels)),
        }
