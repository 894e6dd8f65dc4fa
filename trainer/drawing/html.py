"""Make pages for a browser, in one style; each is one file with its pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def render_page(template: str, values: Mapping[str, Any]) -> str:
    """Fill a file of `templates/`, which extends `page.html.j2` (name, subtitle, tiles); return the page.

    Text is escaped; drawings, which the templates mark as `safe`, are not.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = FileSystemLoader(Path(__file__).parent / "templates")
    return (
        Environment(loader=templates, autoescape=True, undefined=StrictUndefined).get_template(template).render(values)
    )


def jpeg_source(content: bytes) -> str:
    """Return the bytes of a JPEG file as the `src` of an image."""
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
