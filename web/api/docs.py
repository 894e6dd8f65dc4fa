"""`GET /docs`: what OpenAPI says, as one page with forms to try it; no script, and nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem }
section { border-top: 1px solid #8886; margin-top: 2rem }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; font-size: .9rem; table-layout: fixed }
td, th { text-align: left; vertical-align: top; padding: .3rem .5rem .3rem 0; border-bottom: 1px solid #8883 }
td { overflow-wrap: anywhere }
th:first-child { width: 27% } th:nth-child(2) { width: 24% }
input, select { font: inherit; max-width: 100%; box-sizing: border-box; width: 100% }
button { font: inherit; padding: .3rem 1rem; margin: .7rem 0 }
"""


def add_docs(app: FastAPI) -> None:
    """Add the page for all endpoints that the application has by now."""
    page = _page(app.openapi())

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page)


def _page(api: dict[str, Any]) -> str:
    sections = [
        _endpoint(method, path, about) for path, methods in api["paths"].items() for method, about in methods.items()
    ]
    title, told = escape(api["info"]["title"]), _paragraphs(api["info"]["description"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>'
        f'<h1>{title}: API</h1>{told}<p>For programs: <a href="openapi.json">openapi.json</a>.</p>{"".join(sections)}'
    )


def _endpoint(method: str, path: str, about: dict[str, Any]) -> str:
    form = about.get("requestBody", {}).get("content", {}).get("multipart/form-data", {}).get("schema")
    answers = "".join(
        f"<tr><td>{status}</td><td>{escape(', '.join(answer.get('content', {})))}</td>"
        f"<td>{escape(answer['description'])}</td></tr>"
        for status, answer in about["responses"].items()
    )
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>{_paragraphs(about.get('description', ''))}"
        f"{_form(path, form) if form else _link(path, about.get('parameters', []))}"
        f"<details><summary>Answers</summary><table>{answers}</table></details></section>"
    )


def _link(path: str, parameters: list[dict[str, Any]]) -> str:
    names = "".join(f", <code>?{escape(each['name'])}=…</code>" for each in parameters)
    return f'<p><a href="{escape(path[1:])}">{escape(path)}</a>{names}</p>'


def _form(path: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><label for='{_id(path, name)}'><code>{escape(name)}</code></label></td>"
        f"<td>{_input(_id(path, name), name, about, name in schema['required'])}</td>"
        f"<td>{escape(about.get('description', '')).replace('`', '')}</td></tr>"
        for name, about in schema["properties"].items()
    )
    file = schema["required"][0]
    return (
        f"<p><code>curl -F {escape(file)}=@photo.jpg ADDRESS{escape(path)} -o answer</code></p>"
        f'<form method="post" enctype="multipart/form-data" action="{escape(path[1:])}"><table>'
        f"<tr><th>field</th><th>value</th><th>meaning</th></tr>{rows}</table><button>Send</button></form>"
    )


def _id(path: str, name: str) -> str:
    return escape(f"{path[1:]}-{name}")


def _input(key: str, name: str, about: dict[str, Any], required: bool) -> str:
    named = f'id="{key}" name="{escape(name)}"{" required" if required else ""}'
    if about.get("format") == "binary" or about.get("items", {}).get("format") == "binary":
        return f'<input type="file" {named}{" multiple" if "items" in about else ""}>'
    choices = about.get("enum") or (["true", "false"] if about.get("type") == "boolean" else None)
    shown = escape(str(about.get("default", "")))
    if choices is None:
        return f'<input {named} placeholder="{shown or _range(about)}">'
    options = "".join(f"<option>{escape(str(each))}</option>" for each in choices)
    return f'<select {named}><option value="">{shown or "–"}</option>{options}</select>'


def _range(about: dict[str, Any]) -> str:
    least = about.get("minimum", about.get("exclusiveMinimum"))
    most = about.get("maximum", about.get("exclusiveMaximum"))
    return "" if least is None or most is None else f"{least} to {most}"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part)
