"""Errors that end a program in an orderly way: faults that the user can fix, and interruptions.

`utils.program` turns them into sentences and exit codes.
"""

from __future__ import annotations


class UserError(Exception):
    """A fault that the user can fix: one sentence that names the file or key, what was expected and the way out."""

    def __init__(self, sentence: str = "") -> None:
        # Halves of characters, which a JSON file may name, can be written to no console and no log.
        super().__init__(sentence.encode(errors="backslashreplace").decode())


class Interrupted(Exception):
    """A person or a queue stopped the run; its state is saved after `batches_done` batches of `epoch` (from 0)."""

    def __init__(self, epoch: int, batches_done: int, steps_done: int) -> None:
        super().__init__(f"stopped in epoch {epoch + 1} after {batches_done} batches, {steps_done} optimizer steps")
        self.epoch, self.batches_done, self.steps_done = epoch, batches_done, steps_done


DAMAGED = (OSError, ValueError, OverflowError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading and converting a file of JSON may raise if its values are not those that were written.

JSON holds `Infinity`, which is no whole number, and whole numbers beyond the range of a float: an `OverflowError`.
"""


class AlreadyReported(UserError):
    """A fault that is reported already, such as by another process of the run. This one ends silently with `code`."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code
