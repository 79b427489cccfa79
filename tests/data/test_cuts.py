"""Numbers of cut texts and lost tokens, with and without the cache."""

from transformers import AutoTokenizer

from rpt.data.cuts import Cuts, count_cuts
from rpt.data.sequences import encode_decisions
from rpt.data.tokens import encode_sources
from rpt.tasks import Example, get_task
from tests.conftest import NANO, NANO_BERT

# One text is short; three have 10, 20 and 30 words too many.
EXAMPLES = [Example({"passage": " ".join(["red"] * n), "question": "is it"}, 1, idx=n) for n in (5, 50, 60, 70)]


def test_sources(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    whole = encode_sources(EXAMPLES[:1], get_task("boolq"), tokenizer, 500)
    budget = len(whole[0]) - 5 + 40  # "red" is one token
    for _ in range(2):
        sources = encode_sources(EXAMPLES, get_task("boolq"), tokenizer, budget, tmp_path)
        assert [source.lost for source in sources] == [0, 10, 20, 30]
        assert count_cuts(sources) == Cuts(4, 3, 20, 30)


def test_sequences(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(NANO_BERT)
    for _ in range(2):
        encoded = encode_decisions(EXAMPLES, get_task("boolq"), tokenizer, 40 + 3 + 2, tmp_path)
        assert count_cuts(read for of_example in encoded for decision in of_example for read in decision) == Cuts(
            4, 3, 20, 30
        )


def test_the_line():
    cuts = Cuts(27243, 7900, 81, 402)
    assert str(cuts) == "7,900 of 27,243 texts (29.0 %) are cut to fit, by 81 tokens in the median and 402 at most"
