"""Our metrics for the `evaluate` library. rpt.tasks.metrics computes them.

    metric = evaluate.load(str(rpt.metrics.SUPER_GLUE), "boolq")
    metric.compute(predictions=[0, 1], references=[1, 1])

It needs no download (HF_EVALUATE_OFFLINE=1 keeps `evaluate` from looking for one).
"""

from pathlib import Path

SUPER_GLUE = Path(__file__).parent / "super_glue"  # in an installed package too
