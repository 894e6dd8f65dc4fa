"""Makes the changes to a copy of the code that the examples of the page describe."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

from tests.contributing.page import Step


def apply(step: Step, root: Path) -> None:
    """Make the change of a step in the tree below `root`. Raises `AssertionError` if the page and the code disagree."""
    EDITS[step.verb](step, root)


def _new_file(step: Step, root: Path) -> None:
    path = root / step.target
    assert not path.exists(), f"{step}: there is such a file already"
    assert path.parent.is_dir(), f"{step}: there is no such folder"
    path.write_text(step.code, encoding="utf-8")


def _package(step: Step, root: Path) -> None:
    path = root / step.target
    assert not path.exists(), f"{step}: there is such a folder already"
    assert path.parent.is_dir(), f"{step}: there is no folder for it"
    path.mkdir()
    (path / "__init__.py").touch()


def _add(step: Step, root: Path) -> None:
    """New code at the end of a file, or before the assignment to a name."""
    place, _, name = step.target.partition(" before ")
    path = _existing(step, root / place)
    lines = _lines(path)
    at = _assignment(step, path, name).lineno - 1 if name else len(lines)
    _write(path, [*lines[:at], "\n\n", step.code, "\n\n" if name else "", *lines[at:]])


def _entry(step: Step, root: Path) -> None:
    """One more entry, before the bracket that closes the dictionary or tuple."""
    name, _, place = step.target.partition(" in ")
    path = _existing(step, root / place)
    value = _assignment(step, path, name).value
    assert isinstance(value, (ast.Dict, ast.Tuple)), f"{step}: it is no dictionary or tuple"
    content = path.read_bytes().splitlines(keepends=True)
    last = content[value.end_lineno - 1]  # type: ignore[operator]
    before, bracket = last[: value.end_col_offset - 1], last[value.end_col_offset - 1 :]  # type: ignore[operator]
    head = b"".join([*content[: value.end_lineno - 1], before]).rstrip()  # type: ignore[operator]
    comma = b"" if head.endswith((b",", b"{", b"(")) else b","
    entry = step.code.strip().removesuffix(",").encode()
    path.write_bytes(b"".join([head, comma, b"\n    ", entry, b",\n", bracket, *content[value.end_lineno :]]))


def _import(step: Step, root: Path) -> None:
    """One more import, after the last of the module; `ruff` sorts them."""
    path = _existing(step, root / step.target)
    imports = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    lines, at = _lines(path), imports[-1].end_lineno
    _write(path, [*lines[:at], f"{step.code.strip()}\n", *lines[at:]])


def _edit(step: Step, root: Path) -> None:
    """Replace the lines that begin with `-` or a space by those that begin with `+` or a space."""
    path = _existing(step, root / step.target)
    lines = step.code.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in "- ")
    new = "".join(line[1:] for line in lines if line[0] in "+ ")
    text = path.read_text(encoding="utf-8")
    assert text.count(f"\n{old}") == 1, f"{step}: the file does not hold these lines once:\n{old}"
    path.write_text(text.replace(f"\n{old}", f"\n{new}"), encoding="utf-8")


def _secret(step: Step, root: Path) -> None:
    """New lines at the end of the example of `.env`."""
    path = _existing(step, root / step.target)
    assert variables_of(step), f"{step}: expected lines such as NAME="
    _write(path, [*_lines(path), "\n", step.code])


def variables_of(step: Step) -> list[str]:
    """The names of the environment variables of a step `secret`."""
    return re.findall(r"(?m)^(\w+)=$", step.code)


EDITS: dict[str, Callable[[Step, Path], None]] = {
    "package": _package,
    "file": _new_file,
    "add": _add,
    "entry": _entry,
    "import": _import,
    "edit": _edit,
    "secret": _secret,
}


def _existing(step: Step, path: Path) -> Path:
    assert path.is_file(), f"{step}: there is no such file"
    return path


def _assignment(step: Step, path: Path, name: str) -> ast.Assign | ast.AnnAssign:
    """The statement of the module that assigns to `name`."""
    for node in ast.parse(path.read_bytes()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and name in [getattr(target, "id", "") for target in targets]:
            return node
    raise AssertionError(f"{step}: the file assigns nothing to {name}")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def _write(path: Path, parts: list[str]) -> None:
    path.write_text("".join(parts), encoding="utf-8")
