"""Pages for a browser: one style for all, everything in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """Fill a file of `templates/`, which extends `page.html.j2` (name, subtitle, tiles).

    Text is escaped, but for drawings, which the templates mark as `safe`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FileSystemLoader(Path(__file__).parent / "templates")
    return (
        Environment(loader=templates, autoescape=True, undefined=StrictUndefined).get_template(template).render(values)
    )
