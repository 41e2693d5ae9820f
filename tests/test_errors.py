"""Errors that a user can mend, on their way out of worker processes."""

import pickle

from osm.errors import OSMError
from osm.files import InUseError


def test_an_error_survives_pickling_with_its_kind_and_its_facts():
    error = InUseError("a folder", found="x", expected="y", mend="z")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is InUseError
    assert isinstance(back, OSMError)
    assert (back.where, back.found, back.expected, back.mend) == ("a folder", "x", "y", "z")
    assert str(back) == error.line
