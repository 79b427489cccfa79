"""Damaged JSON lines: each error is one line with the file, the line number and what was expected."""

import gzip
import json

import pytest

from rpt.data.json_lines import read_json_lines
from rpt.errors import UsageError

ROW = {"question": "is it réd", "passage": "a \U0001f34e", "label": True, "idx": 0}
LINE = json.dumps(ROW, ensure_ascii=False)


def test_rows_have_their_places():
    content = f"\n{LINE}\r\n  \n{json.dumps(ROW)}".encode()
    assert list(read_json_lines(content, "f")) == [("line 2", ROW), ("line 4", ROW)]
    assert list(read_json_lines(b"\xef\xbb\xbf" + content, "f")) == [("line 2", ROW), ("line 4", ROW)]
    assert list(read_json_lines(b"", "f")) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINE.encode("utf-16"), "f, line 1 is UTF-16 text, not UTF-8; convert"),
        (LINE.encode("utf-16-le"), "f, line 1 is UTF-16 text, not UTF-8; convert"),
        (LINE.encode("utf-16-be"), "f, line 1 is UTF-16 text, not UTF-8; convert"),
        (b"{}\n" + LINE.replace("\U0001f34e", "").encode("latin-1"), "f, line 2 is not UTF-8 text: byte 0xe9 at 21; "),
        (gzip.compress(LINE.encode()), r"f, line 1 is compressed \(gzip\), not a JSON object; decompress"),
        (b"{}\n{}\n" + b"[" * 100_000, "f, line 3 should be one JSON object; it is nested too deeply"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "f, line 1 should be one JSON object; it is nested too deeply"),
        (b'{"idx": ' + b"1" * 5000 + b"}", "f, line 1 should be one JSON object; it has a number of 5,000 digits"),
        (b'{"idx": NaN}', "f, line 1 should be one JSON object; it has NaN"),
        (b'{"idx": -Infinity}', "f, line 1 should be one JSON object; it has -Infinity"),
        (b'{"idx": 1, "label": 0, "idx": 2}', "f, line 1 should be one JSON object; it has the key 'idx' twice"),
        (b'{"a": {"b": 1, "b": 1}}', "f, line 1 should be one JSON object; it has the key 'b' twice"),
        (b"null", "f, line 1 should be one JSON object with the fields of a row, found null"),
        (b"[1, 2]", "f, line 1 should be one JSON object with the fields of a row, found \\[1, 2\\]"),
        (b'"text"', 'f, line 1 should be one JSON object with the fields of a row, found "text"'),
        (b"7", "f, line 1 should be one JSON object with the fields of a row, found 7"),
        (b"{} {}", "f, line 1 is not JSON: Extra data"),
        (b"{'a': 1}", "f, line 1 is not JSON: Expecting property name"),
        (b'{"a": 1', "f, line 1 is not JSON: Expecting ',' delimiter"),
    ],
    ids=range(19),
)
def test_what_is_wrong_is_one_line(content, message):
    with pytest.raises(UsageError, match=message) as caught:
        list(read_json_lines(content, "f"))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
