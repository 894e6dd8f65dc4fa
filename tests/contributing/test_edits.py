"""A page that does not fit the code is found out: every step changes what it names, or fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contributing.edits import apply
from tests.contributing.page import Step, sections_of
from tests.contributing.recipes import recipes_of
from tests.contributing.workplace import check_shown, words_of

MODULE = 'import os\n\nTABLE = {"é": 1, "b": 2}\nNAMES = (\n    "a",\n)\n'
PAGE = """
## A new component

<!-- recipe: mine.yaml -->
```yaml
extends: x
run: {name: mine}
```

### One

`loss: a`<!-- use --> or
`loss: b`<!-- use -->.

### Two

<!-- use -->
```yaml
task: c
run:
  name: c
```

```
unmarked
```

## Another chapter

`no: step`<!-- use -->
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "module.py"
    path.write_text(MODULE, encoding="utf-8")
    return path


def change(verb: str, target: str, code: str, module: Path) -> str:
    apply(Step(verb, target, code, 1), module.parent)
    return module.read_text(encoding="utf-8")


def test_a_new_folder_can_be_imported_and_takes_files(tmp_path: Path) -> None:
    apply(Step("package", "folder", "folder/", 1), tmp_path)
    apply(Step("file", "folder/module.py", MODULE, 1), tmp_path)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["__init__.py", "module.py"]


def test_an_entry_goes_into_a_dictionary_or_tuple_on_one_line_or_many(module: Path) -> None:
    change("entry", "TABLE in module.py", '    "c": 3,\n', module)
    changed = change("entry", "NAMES in module.py", '"b"', module)
    values: dict[str, object] = {}
    exec(changed, values)
    assert values["TABLE"] == {"é": 1, "b": 2, "c": 3}
    assert values["NAMES"] == ("a", "b")


def test_code_goes_before_what_refers_to_it(module: Path) -> None:
    changed = change("add", "module.py before NAMES", "def f() -> None: ...\n", module)
    assert changed.index("TABLE") < changed.index("def f") < changed.index("NAMES")
    assert change("add", "module.py", "LAST = 1\n", module).endswith("LAST = 1\n")


def test_an_import_goes_behind_the_others(module: Path) -> None:
    assert change("import", "module.py", "import sys", module).startswith("import os\nimport sys\n")


def test_a_diff_replaces_lines(module: Path) -> None:
    changed = change("edit", "module.py", '-NAMES = (\n+MORE = (\n+    "b",\n     "a",\n', module)
    assert changed.endswith('MORE = (\n    "b",\n    "a",\n)\n')


@pytest.mark.parametrize(
    ("verb", "target", "code"),
    [
        ("package", "module.py", "a new folder that is there already\n"),
        ("package", "folder/folder", "a new folder in no folder\n"),
        ("file", "module.py", "a new file that is there already\n"),
        ("file", "folder/module.py", "a new file in no folder\n"),
        ("add", "other.py", "code for a file that was moved\n"),
        ("add", "module.py before NOTHING", "code before a name that was changed\n"),
        ("entry", "NOTHING in module.py", "a table that was renamed\n"),
        ("edit", "module.py", "-a line that was changed\n+another\n"),
        ("secret", "module.py", "no variable\n"),
    ],
)
def test_a_step_that_does_not_fit_the_code_fails_with_its_place(
    verb: str, target: str, code: str, module: Path
) -> None:
    with pytest.raises(AssertionError, match=rf"CONTRIBUTING.md:1: {verb} {target}"):
        change(verb, target, code, module)


def test_steps_are_read_with_their_lines_and_a_block_without_comment_is_found() -> None:
    intro, one, two = sections_of(PAGE)
    assert [(step.line, step.verb, step.target) for step in intro.steps] == [(4, "recipe", "mine.yaml")]
    assert [(step.line, step.code) for step in one.steps] == [(12, "loss: a"), (13, "loss: b")]
    assert [step.line for step in two.steps] == [17]
    assert "```" in two.unmarked
    assert "```" not in one.unmarked + intro.unmarked


def test_examples_share_a_recipe_unless_they_set_the_same_key() -> None:
    intro, *sections = sections_of(PAGE)
    first, second = recipes_of(sections, intro.steps[0].code)
    assert first.text == "extends: x\nrun: {name: mine}\nloss: a\n"
    assert second.text == "extends: x\nrun:\n  name: c\nloss: b\ntask: c\n"


def test_shown_lines_may_differ_in_numbers_alone() -> None:
    step = Step("shows", "", "done, best 0.5\n", 1)
    check_shown(step, "epoch 1 of 1\ndone, best 0.0312\n")
    with pytest.raises(AssertionError, match="shows"):
        check_shown(step, "failed, best 0.0312")


def test_only_commands_of_the_project_are_run() -> None:
    assert words_of("make docs")[-1] == "docs"
    with pytest.raises(AssertionError, match="only python and make"):
        words_of("rm -r x")
