"""COPA: which of two choices is the premise's cause or effect?"""

from rpt.tasks.base import Task


class COPA(Task):
    name, folder, hub_config = "copa", "COPA", "copa"
    labels = ("choice1", "choice2")
    paper_labels = ("false", "true")
    columns = ("choice1", "choice2", "premise", "question")
