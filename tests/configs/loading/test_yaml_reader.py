from __future__ import annotations

import math
from typing import Any

import pytest

from configs.loading.nodes import Problem
from configs.loading.yaml_reader import read_text


def plain(text: str) -> Any:
    problems: list[Problem] = []
    node = read_text(text, "a.yaml", problems)
    assert problems == []
    assert node is not None
    return node.plain()


def problems(text: str) -> list[str]:
    found: list[Problem] = []
    read_text(text, "a.yaml", found)
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("12", 12),
        ("010", 10),
        (".inf", math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("1.2.3", "1.2.3"),
        ("손", "손"),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    read = plain(f"key: {text}")["key"]
    assert (read, type(read)) == (value, type(value))


def test_blocks_lists_and_aliases() -> None:
    assert plain("a: &x {b: [1, two]}\nc: *x\n") == {"a": {"b": [1, "two"]}, "c": {"b": [1, "two"]}}


def test_an_empty_file_says_nothing() -> None:
    assert plain("# only a comment\n") == {}


def test_every_value_knows_its_line() -> None:
    node = read_text("a: 1\nb:\n  c: [1,\n    2]\n", "a.yaml", [])
    assert node is not None
    assert str(node.location_of(["b", "c"])) == "a.yaml:3"
    assert str(node.location_of(["b", "c", 1])) == "a.yaml:4"
    assert str(node.location_of(["b", "absent"])) == "a.yaml:2"


def test_doubled_keys_name_both_lines() -> None:
    assert problems("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n") == [
        "a.yaml:5: b.c: given twice, on lines 3 and 5; keep one",
        "a.yaml:6: a: given twice, on lines 1 and 6; keep one",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1", "a.yaml:2: not YAML: a tab indents this line; YAML wants spaces there"),
        ("a: @x", "a.yaml:1: not YAML: text that begins with '@' must stand in quotes"),
        ("b: 1\na: [1, 2\n", "a.yaml:2: not YAML: a bracket that opens here is never closed"),
        ("b: 1\na: 'x\nc: 3\n", "a.yaml:2: not YAML: a quote or bracket that opens here is never closed"),
        ("a:\n    b: 2\n  c: 3\n", "a.yaml:3: not YAML: this line does not line up with the lines above it"),
        ("a\nb: 3", "a.yaml:2: not YAML: this ':' cannot stand here: is the ':' of a line above missing"),
        ("a: b: c", "a.yaml:1: not YAML: this ':' cannot stand here"),
        ("a: 1\nb\n", "a.yaml:2: not YAML: expected 'key: value'; a ':'"),
        ("a: *x", "a.yaml:1: not YAML: this alias (*name) has no anchor (&name) above it"),
        ("a: 1\n---\nb: 2", "a.yaml:2: not YAML: one document per file; remove the '---' between the parts"),
        ("- 1", "a.yaml:1: expected keys such as 'trainer:' at the top of the file"),
        ("a: !!python/object:os.system x", "a.yaml:1: a: tags such as "),
        ("a: !mine 3", "a.yaml:1: a: tags such as !mine are not used here; remove it"),
        ("b: 1\n<<: {a: 1}", "a.yaml:2: merge keys (<<) are not used here; write the keys out, or use 'extends'"),
        ("? [a, b]\n: 3", "a.yaml:1: a key must be one word, not a list or a block"),
        ("a: &a [*a]", "a.yaml:1: a: too deep; an alias inside its own anchor?"),
        ("a: " + "[" * 3000 + "]" * 3000, "a.yaml:1: nested too deep"),
        ("\n".join(" " * depth + "a:" for depth in range(1500)), "a.yaml:1: nested too deep"),
        ("{a: " * 1500 + "1" + "}" * 1500, "a.yaml:1: nested too deep"),
        ('a: "x\\0y"', "a.yaml:1: a: holds a character that no text may have (as \\0); remove it"),
        ('a: "\\ud800"', "a.yaml:1: a: holds a character"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_not_readable_is_reported_in_a_sentence(text: str, message: str) -> None:
    (told,) = problems(text)
    assert told.startswith(message)


def test_aliases_of_aliases_cannot_grow_without_end() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for above, here in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{here}: &{here} [{', '.join([f'*{above}'] * 10)}]")
    (told,) = problems("\n".join(lines))
    assert told.endswith("more than 20000 values; aliases of aliases of aliases?")


def test_whole_numbers_of_thousands_of_digits_are_infinite() -> None:
    assert plain(f"key: {'9' * 5000}") == {"key": math.inf}
