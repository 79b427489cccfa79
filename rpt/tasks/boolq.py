"""BoolQ: does the passage answer yes?"""

from rpt.tasks.base import FALSE_TRUE, Task


class BoolQ(Task):
    name, folder, hub_config = "boolq", "BoolQ", "boolq"
    labels = FALSE_TRUE
    paper_labels = ("false", "true")
    columns = ("passage", "question")
    shared_text = "passage"
