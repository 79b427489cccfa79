"""The grid before a real decoder: rates chosen with one seed, and what the frozen backbone answers without a prompt."""

from rpt.reports.layouts import title_of
from rpt.reports.paper import Paper
from rpt.reports.rates import choose_rates
from rpt.reports.tables import all_tables


def test_each_row_at_its_chosen_rate_stands_beside_zero_shot_and_majority(study):
    """As it is trained: one seed at both rates, all three at the better one, which is 0.3 here."""
    tried = study("stream_scale", "laptop", keep=lambda config: config.seed == 0 or config.lr == 0.3)
    assert len(tried.runs) == 4 * 4 + 1
    scores, rates, learning = all_tables(choose_rates(tried), Paper())
    shown = [(row["backbone.stream_scale"], row["prompt"], row["n"]) for row in scores.records]
    prompts = [(scale, prompt, 3) for scale in ("1", "auto") for prompt in ("vanilla", "residual")]
    assert shown == [("", "majority class", None), *prompts[:2], ("1", "none", 1), *prompts[2:]]
    assert "without a prompt the likelier answer" in scores.caption
    (zero_shot,) = [line for block in scores.blocks for line in block if line[2].text == "no prompt"]
    assert " of " not in zero_shot[3].text  # one run is all that is asked for
    text = "\n".join(scores.remarks)
    assert "Residual PT − PT, embeddings × auto: here CB +" in text
    assert "4 of the 4 chosen rates lie at the edge" in text and "same number of rates" not in text
    assert "Training: 12 epochs. Learning rate: the best of 2 on held-out rows" in text
    assert [row["rate"] for row in rates.records if row["chosen"]] == ["0.3"] * 4
    assert "Tried: PT, Residual PT 0.01, 0.3." in rates.remarks
    assert len(learning.records) == 4 * 3 + 1
    assert learning.header[:4] == ["backbone", "task", "prompt", "embeddings ×"]
    assert title_of("stream_scale") == "Stream scale"
