"""What messages say of errors."""

import pytest

from rpt.errors import first_line


@pytest.mark.parametrize(
    "error, said",
    [(ValueError("\n first \nsecond"), "first"), (AssertionError(), "AssertionError"), (OSError(" \n"), "OSError")],
)
def test_an_error_without_a_message_has_the_name_of_its_class(error, said):
    assert first_line(error) == said
