"""RTE: does the premise entail the hypothesis?"""

from rpt.tasks.base import Task


class RTE(Task):
    name, folder, hub_config = "rte", "RTE", "rte"
    labels = ("entailment", "not_entailment")
    columns = ("premise", "hypothesis")
    superglue_columns = ("hypothesis", "premise")
