"""CB (CommitmentBank): does the speaker of the premise believe the hypothesis? One of the three classes is rare."""

from rpt.tasks.base import Task


class CB(Task):
    name, folder, hub_config = "cb", "CB", "cb"
    labels = ("entailment", "contradiction", "neutral")
    columns = ("premise", "hypothesis")
    superglue_columns = ("hypothesis", "premise")
    metrics = ("accuracy", "macro_f1")
    paper_score = superglue_score = metrics
