"""What messages say of errors."""

import pytest

from rpt.errors import describe_error, first_line


@pytest.mark.parametrize(
    "error, said",
    [(ValueError("\n first \nsecond"), "first"), (AssertionError(), "AssertionError"), (OSError(" \n"), "OSError")],
)
def test_an_error_without_a_message_has_the_name_of_its_class(error, said):
    assert first_line(error) == said


def test_an_error_of_any_class_is_named_with_it_once():
    assert [describe_error(each) for each in (KeyError("rank"), KeyError())] == ["KeyError: 'rank'", "KeyError"]
