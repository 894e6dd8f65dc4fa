from __future__ import annotations

from configs.reference import PAGE, page, sections
from configs.schema import Config
from configs.tables import REGISTRIES
from utils.config.descriptions import in_yaml


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m configs.reference"


def test_every_block_and_every_component_is_on_the_page() -> None:
    text = page()
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    for kind, table in REGISTRIES.items():
        named = ", ".join(line.partition(": ")[2] for line in headings if line.startswith(f"### {kind}: "))
        assert set(named.split(", ")) == set(table())
    assert all(f"\n## {name}\n" in text or f"| `{name}` |" in text for name in Config.model_fields)


def test_every_key_of_the_schema_is_described() -> None:
    blocks = [section for _, section in sections()]
    assert [key for block in blocks for key, field in block.model_fields.items() if not field.description] == []


def test_defaults_are_written_as_in_yaml() -> None:
    assert in_yaml({"a": (1, 2.5), "b": None, "c": True}) == "{a: [1, 2.5], b: null, c: true}"
