"""Write docs/api.md from the docstrings of the public names: `python -m tests.api`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import carpus
from tests.root import ROOT

PAGE = ROOT / "docs" / "api.md"
MODULES = {
    "carpus": "carpus.py",
    "trainer.records.tables": "trainer/records/tables.py",
    "utils.events": "utils/events.py",
    "utils.metric": "utils/metric.py",
}
"""The modules whose public names are documented, and their files."""
HEAD = """# Python API

The public names for programs and notebooks. How they are used is in [library.md](library.md), with examples. This
page is written by `make docs` from the docstrings.
"""
LONGEST = 100
"""Characters of a signature that stands in one line."""


def page() -> str:
    """Return the page as Markdown."""
    sections = [section for name, file in MODULES.items() for section in module_sections(name, file)]
    return "\n\n".join([HEAD.strip(), *sections]) + "\n"


def module_sections(name: str, file: str) -> Iterator[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    yield f"## {name}\n\n{first_paragraph(tree)}"
    public = carpus.__all__ if name == "carpus" else None
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and is_public(node.name, public):
            yield from class_sections(node) if isinstance(node, ast.ClassDef) else [function_section("###", node)]


def is_public(name: str, listed: list[str] | None) -> bool:
    return name in listed if listed is not None else not name.startswith("_")


def class_sections(node: ast.ClassDef) -> Iterator[str]:
    """Yield a class with its fields and properties, then each method."""
    bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
    fields = "\n".join(attributes(node))
    yield "\n\n".join(filter(None, (f"### class {node.name}{bases}", doc_of(node), fields)))
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and not member.name.startswith("_") and not is_property(member):
            yield function_section("####", member, f"{node.name}.")


def attributes(node: ast.ClassDef) -> Iterator[str]:
    """Yield a line for each field, with the text below it, and for each property."""
    for member, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(member, ast.AnnAssign) and not ast.unparse(member.target).startswith("_"):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            yield attribute(ast.unparse(member.target), member.annotation, str(text))
        elif isinstance(member, ast.FunctionDef) and is_property(member):
            yield attribute(member.name, member.returns, doc_of(member))


def attribute(name: str, kind: ast.expr | None, text: str) -> str:
    shown = f"- `{name}: {ast.unparse(kind)}`" if kind is not None else f"- `{name}`"
    return f"{shown}: {' '.join(text.split())}" if text else shown


def is_property(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(each) in ("property", "cached_property") for each in node.decorator_list)


def function_section(level: str, node: ast.FunctionDef, owner: str = "") -> str:
    return f"{level} {owner}{node.name}\n\n```python\n{signature(node)}\n```\n\n{doc_of(node)}".rstrip()


def signature(node: ast.FunctionDef) -> str:
    """Return a signature without `self`, a parameter a line if it is long."""
    taken = node.args
    padded: list[ast.expr | None] = [*[None] * (len(taken.args) - len(taken.defaults)), *taken.defaults]
    shown = [parameter(*pair) for pair in zip(taken.args, padded, strict=True) if pair[0].arg != "self"]
    shown += ["*"] if taken.kwonlyargs and taken.vararg is None else []
    shown += [f"*{parameter(taken.vararg, None)}"] if taken.vararg is not None else []
    shown += [parameter(*pair) for pair in zip(taken.kwonlyargs, taken.kw_defaults, strict=True)]
    shown += [f"**{parameter(taken.kwarg, None)}"] if taken.kwarg is not None else []
    returned = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    line = f"{node.name}({', '.join(shown)}){returned}"
    if len(line) <= LONGEST:
        return line
    return "\n".join((f"{node.name}(", *(f"    {each}," for each in shown), f"){returned}"))


def parameter(argument: ast.arg, default: ast.expr | None) -> str:
    return ast.unparse(argument) + (f" = {ast.unparse(default)}" if default is not None else "")


def doc_of(node: ast.FunctionDef | ast.ClassDef) -> str:
    return inspect.cleandoc(ast.get_docstring(node) or "")


def first_paragraph(tree: ast.Module) -> str:
    return (ast.get_docstring(tree) or "").split("\n\n")[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
