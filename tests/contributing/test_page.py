"""Every example of CONTRIBUTING.md is added to a copy of the code, trained with and tested."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contributing.edits import EDITS
from tests.contributing.page import TEXT, VERBS, Section, Step, sections_of
from tests.contributing.workplace import Workplace, copy_code
from tests.forkserver import ForkServer
from tests.standin import Answer, Request, StandIn

SECTIONS = sections_of(TEXT)
STEPS = [step for section in SECTIONS for step in section.steps]
EXAMPLES = SECTIONS[1:]
TRAINS_WITH = ("use", "says")
SECRET_PATH = "/for-this-test-alone"


class Receiver(StandIn):
    """Takes whatever is sent."""

    def reply(self, request: Request) -> Answer:
        return Answer(204, b"")


@dataclass
class Result:
    """What is left after all examples have been executed."""

    workplace: Workplace
    receiver: Receiver


@pytest.fixture(scope="module")
def result(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """Every example is added to one copy, and trained with in as few runs as possible."""
    workplace = Workplace(copy_code(tmp_path_factory.mktemp("contributing") / "carpus"), SECTIONS, fork_server)
    with Receiver() as receiver:
        workplace.build(secret_value=receiver.url + SECRET_PATH)
        workplace.train()
        yield Result(workplace, receiver)


@pytest.mark.parametrize("section", EXAMPLES, ids=lambda section: section.title)
def test_every_section_adds_something_and_trains_with_it(section: Section) -> None:
    assert section.of(*EDITS), "no block of code is marked as a change"
    assert section.of(*TRAINS_WITH), "nothing says how it is used, or what it leaves after a run"
    assert "```" not in section.unmarked, "a block of code has no comment that says what it is"


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_comments_are_understood_and_a_reader_sees_what_they_name(step: Step) -> None:
    assert step.verb in VERBS
    section = next(section for section in SECTIONS if step in section.steps)
    path = re.sub(r"^\w+ in | before \w+$", "", step.target)
    assert step.verb == "tests" or path in section.visible


def test_every_step_of_the_page_is_executed(result: Result) -> None:
    left = [str(step) for step in STEPS if step.verb != "tests" and step not in result.workplace.done]
    assert left == []


def test_the_tests_of_the_tables_find_the_examples(result: Result) -> None:
    """One process runs them all; every file that the page names must have found its example."""
    steps = [step for step in STEPS if step.verb == "tests"]
    passed = passed_tests(result.workplace, steps)
    for step in steps:
        assert [name for name in passed if name.startswith(f"{step.code}::") and step.target in name], step


def passed_tests(workplace: Workplace, steps: list[Step]) -> list[str]:
    """Run the tests that the steps name, in the copy; the names of those that passed, and none may fail."""
    wanted = [f"({Path(step.code).name} and {step.target})" if step.target else Path(step.code).name for step in steps]
    files = dict.fromkeys(step.code for step in steps)
    imported_before = "ignore::pytest.PytestAssertRewriteWarning"
    options = ("-rp", "-n", "0", "-p", "no:cacheprovider", "-W", imported_before, "-k", " or ".join(wanted))
    done = workplace.start(["-m", "pytest", *options, *files])
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"(?m)^PASSED (\S+)", done.stdout)


def test_messages_arrive_and_no_file_of_a_run_holds_the_secret(result: Result) -> None:
    sent = [request.json for request in result.receiver.requests]
    assert len(sent) >= 2, "a start and an end"
    assert {request.path for request in result.receiver.requests} == {SECRET_PATH}
    files = [path for path in (result.workplace.root / "runs").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET_PATH.encode() in path.read_bytes()]
