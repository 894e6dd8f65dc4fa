from __future__ import annotations

import pickle

from utils.errors import UserError


def test_a_sentence_can_be_written_whatever_name_is_in_it() -> None:
    error = UserError("'\ud800손' is not a class of this task.")
    assert str(error) == r"'\ud800손' is not a class of this task."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
