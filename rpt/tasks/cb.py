"""CB (CommitmentBank): does the speaker stand by it? Does who says the premise stand by the hypothesis? One of three
classes is rare."""

from collections.abc import Sequence

from rpt.tasks.base import Task
from rpt.tasks.examples import Example, Prediction
from rpt.tasks.metrics import accuracy, macro_f1


class CB(Task):
    name, folder, hub_config = "cb", "CB", "cb"
    labels = ("entailment", "contradiction", "neutral")
    columns = ("premise", "hypothesis")
    superglue_columns = ("hypothesis", "premise")
    metrics = ("accuracy", "macro_f1")
    paper_score = superglue_score = metrics

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, float]:
        gold = [example.gold for example in examples]
        return {
            "accuracy": accuracy(gold, predictions),
            "macro_f1": macro_f1(gold, predictions, len(self.labels)),
        }
