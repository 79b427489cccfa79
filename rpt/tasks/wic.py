"""WiC: is the word's sense the same?"""

import re
from collections.abc import Iterator
from dataclasses import replace

from rpt.tasks.base import FALSE_TRUE, Task
from rpt.tasks.examples import Decision, Example, starred
from rpt.tasks.fields import RawRow, read_index, read_text

OTHER_FORMS = {  # that begin with another letter than the word
    "bad": ("worse", "worst"),
    "be": ("am", "is", "are", "was", "were"),
    "go": ("went",),
    "good": ("better", "best"),
    "ill": ("worse", "worst"),
    "well": ("better", "best"),
}


class WiC(Task):
    name, folder, hub_config = "wic", "WiC", "wic"
    labels = FALSE_TRUE
    paper_labels = ("false", "true")
    # Spans are character offsets, end exclusive; the published code writes them as plain numbers.
    columns = ("start1", "end1", "sentence1", "start2", "end2", "sentence2", "word")
    integers = ("start1", "end1", "start2", "end2")
    superglue_columns = ("pos", "sentence1", "sentence2", "word")
    shared_text = "word"
    encoder_marks = 2

    def example(self, row: RawRow) -> Example:
        example = super().example(row)
        fields = {**example.fields, **self._spans(row, "1"), **self._spans(row, "2")}
        if "pos" in row:  # N or V; SuperGLUE's own files have dropped it, WiC's have it
            fields["pos"] = read_text(row, "pos")
        return replace(example, fields=fields)

    @staticmethod
    def _spans(row: RawRow, which: str) -> dict[str, int]:
        """The word's span, counted in the sentence without its outer spaces."""
        text, word = row["sentence" + which], row["word"]
        sentence = text.strip()
        shift = len(text) - len(text.lstrip())
        start, end = (read_index(row, field + which) - shift for field in ("start", "end"))
        if not 0 <= start < end <= len(sentence):
            raise ValueError(
                f"fields 'start{which}' and 'end{which}' should be a span of field 'sentence{which}', "
                f"found {start + shift} and {end + shift}: {text!r:.80}"
            )
        if not any(_is_form(token, word) for token in re.findall(r"['’]?\w+", sentence)):
            raise ValueError(f"field 'sentence{which}' has the word {word!r:.40} in no form, found {sentence!r:.80}")
        return {"start" + which: start, "end" + which: end}

    def warnings(self, example: Example) -> Iterator[str]:
        fields = example.fields
        marked = (fields["sentence" + i][fields["start" + i] : fields["end" + i]] for i in "12")
        if not all(_is_form(text, fields["word"]) for text in marked):
            yield "marking another word than its own"

    def decisions(self, example: Example) -> list[Decision]:
        """Both sentences, with stars around the word."""
        start1, end1, sentence1, start2, end2, sentence2 = (example.fields[column] for column in self.columns[:6])
        reading = starred([sentence1, sentence2], [(0, start1, end1), (1, start2, end2)])
        return [Decision((reading,), example.label)]


def _is_form(text: str, word: str) -> bool:
    """Whether the text may be an inflected form of the word. English keeps the first letter of a word, except in
    OTHER_FORMS and contractions ('ve)."""
    first = [re.sub(r"\W", "", part)[:1].casefold() for part in (text, word)]
    return first[0] == first[1] or text.casefold() in OTHER_FORMS.get(word.casefold(), ()) or text[:1] in "'’"
