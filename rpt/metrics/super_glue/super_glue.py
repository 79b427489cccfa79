"""What `evaluate.load` reads. It needs no download.

`evaluate.load(str(rpt.metrics.SUPER_GLUE), "boolq").compute(predictions=..., references=...)` takes and returns
what the hub's super_glue metric does: fractions between 0 and 1. A prediction that is no label is -1, and wrong.
"""

import datasets
import evaluate
from sklearn.metrics import matthews_corrcoef

from rpt.tasks import metrics

LABEL_TASKS = ("boolq", "cb", "copa", "rte", "wic", "wsc", "wsc.fixed", "axb", "axg")
INTEGER = datasets.Value("int64")
STRING = datasets.Value("string")
FEATURES = {
    "multirc": {
        "predictions": {
            "idx": {"answer": INTEGER, "paragraph": INTEGER, "question": INTEGER},
            "prediction": INTEGER,
        },
        "references": INTEGER,
    },
    "record": {
        "predictions": {"idx": {"passage": INTEGER, "query": INTEGER}, "prediction_text": STRING},
        "references": {"idx": {"passage": INTEGER, "query": INTEGER}, "answers": datasets.List(STRING)},
    },
    **{task: {"predictions": INTEGER, "references": INTEGER} for task in LABEL_TASKS},
}


class SuperGlue(evaluate.Metric):
    """One task's official metrics; the configuration names the task."""

    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in FEATURES:
            raise ValueError(f"task {self.config_name!r} is unknown; there are {', '.join(FEATURES)}")
        return evaluate.MetricInfo(
            description="The SuperGLUE benchmark's metrics (Wang et al. 2019).",
            citation="",
            inputs_description=__doc__,
            features=datasets.Features(FEATURES[self.config_name]),
        )

    def _compute(self, predictions: list, references: list) -> dict[str, float]:
        if self.config_name == "multirc":
            questions = [(row["idx"]["paragraph"], row["idx"]["question"]) for row in predictions]
            answers = [row["prediction"] for row in predictions]
            return {
                "exact_match": metrics.exact_match_per_question(references, answers, questions),
                "f1_m": metrics.f1_per_question(references, answers, questions),
                "f1_a": metrics.f1_answers(references, answers),
            }
        if self.config_name == "record":
            texts = {tuple(row["idx"].values()): row["prediction_text"] for row in predictions}
            pairs = [(texts.get(tuple(row["idx"].values())), row["answers"]) for row in references]
            return {
                "exact_match": metrics.mean([metrics.exact_match(*pair) for pair in pairs]),
                "f1": metrics.mean([metrics.token_f1(*pair) for pair in pairs]),
            }
        if self.config_name == "axb":
            return {"matthews_correlation": float(matthews_corrcoef(references, predictions))}
        scores = {"accuracy": metrics.accuracy(references, predictions)}
        if self.config_name == "cb":
            scores["f1"] = metrics.macro_f1(references, predictions, n_classes=3)
        return scores
