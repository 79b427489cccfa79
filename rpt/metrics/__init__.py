"""Our metrics for the `evaluate` library. What they compute stands in rpt.tasks.metrics.

    metric = evaluate.load(str(rpt.metrics.SUPER_GLUE), "boolq")
    metric.compute(predictions=[0, 1], references=[1, 1])

It needs no download (HF_EVALUATE_OFFLINE=1 keeps `evaluate` from looking for one).
"""

from pathlib import Path

SUPER_GLUE = Path(__file__).parent / "super_glue"  # of an installed package as of a checkout
