"""Make pages for a browser, in one style; each is one file with its pictures inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utils.viewer.markup import script, style


def render_page(template: str, values: Mapping[str, Any]) -> str:
    """Fill a file of `templates/`, which extends `page.html.j2` (name, subtitle, tiles); return the page.

    Text is escaped; drawings, which the templates mark as `safe`, are not. A template with viewers fills the block
    `head` with `viewer_head()`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=templates, autoescape=True, undefined=StrictUndefined)
    environment.globals["viewer_head"] = lambda: style() + script()
    return environment.get_template(template).render(values)
