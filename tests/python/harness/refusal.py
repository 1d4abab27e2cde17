"""An SQL error that is due. An error because the function or table does not exist at all is never the one that is meant:
without this, a test of a refusal would pass when nothing is built in."""
import contextlib
import re
import sqlite3

import pytest

ABSENT = re.compile(r"no such (function|table|module)|wrong number of arguments", re.I)


def check_present(text):
    found = ABSENT.search(text)
    assert not found, "this is missing from the extension: %s" % text


@contextlib.contextmanager
def refusal(match=None, arguments=False):
    """`match` is a regular expression, case does not matter. arguments=True: SQLite's own "wrong number of arguments" will do."""
    with pytest.raises(sqlite3.Error) as caught:
        yield caught
    text = str(caught.value)
    if not (arguments and "wrong number" in text):
        check_present(text)
    assert match is None or re.search(match, text, re.I), "%r is not in the error %r" % (match, text)
