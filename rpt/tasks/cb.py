"""CB (CommitmentBank): does the speaker stand by it? Does who says the premise stand by the hypothesis? One of three
classes is rare."""

from rpt.tasks.base import Task


class CB(Task):
    name, folder, hub_config = "cb", "CB", "cb"
    labels = ("entailment", "contradiction", "neutral")
    columns = ("premise", "hypothesis")
    superglue_columns = ("hypothesis", "premise")
    metrics = ("accuracy", "macro_f1")
    paper_score = superglue_score = metrics
