"""The few emoji of the messages as small drawings, for machines without a font of them."""

from __future__ import annotations


def with_emoji(text: str) -> str:
    """HTML with its emoji drawn."""
    for sign, drawing in DRAWINGS.items():
        svg = f"<svg class='emoji' viewBox='0 0 20 20'>{drawing}</svg>"
        text = text.replace(f"{sign}\ufe0f", svg).replace(sign, svg)
    return text


def _box(colour: str, inside: str) -> str:
    return f"<rect x='1' y='1' width='18' height='18' rx='3' fill='{colour}'/>{inside}"


def _line(points: str, colour: str, width: float = 3) -> str:
    return f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='{width}' stroke-linecap='round'/>"


DRAWINGS = {
    "⏳": "<path d='M4 2h12v3l-4.500 5 4.500 5v3H4v-3l4.500-5L4 5z' fill='#d9a066'/>"
    "<path d='M6 16l4-5 4 5z' fill='#f7e08a'/>",
    "🟢": "<circle cx='10' cy='10' r='8' fill='#2bac46'/><circle cx='7' cy='7' r='2.5' fill='#7fd68f'/>",
    "🔍": "<circle cx='8' cy='8' r='5.500' fill='#cfe8fb' stroke='#37474f' stroke-width='2.500'/>"
    + _line("12.500,12.500 18,18", "#8d5a2b"),
    "✅": _box("#2bac46", _line("5,10.5 8.500,14 15,6", "#fff")),
    "🏁": "<path d='M4 2v17' stroke='#8d5a2b' stroke-width='2'/><path d='M5 3h13v9H5z' fill='#fff' stroke='#222'/>"
    "<path d='M5 3h4v3H5zM13 3h5v3h-5zM9 6h4v3H9zM5 9h4v3H5zM13 9h5v3h-5z' fill='#222'/>",
    "⏸": _box("#3b88c3", "<path d='M6 5h3v10H6zM11 5h3v10h-3z' fill='#fff'/>"),
    "▶": _box("#3b88c3", "<path d='M7 5l8 5-8 5z' fill='#fff'/>"),
    "❌": _line("4,4 16,16", "#dd2e44", 4) + _line("16,4 4,16", "#dd2e44", 4),
    "💀": "<path d='M10 2a7 7 0 0 0-5 12v4h10v-4a7 7 0 0 0-5-12z' fill='#ccd6dd'/><circle cx='7.500' cy='9.500' r='2'/>"
    "<circle cx='12.500' cy='9.500' r='2'/>",
    "🏆": "<path d='M6 2h8v5a4 4 0 0 1-8 0zM9 11h2v4H9zM6 15h8v3H6z' fill='#f5b82e'/>"
    "<path d='M6 3H3c0 4 1 5 3 5M14 3h3c0 4-1 5-3 5' fill='none' stroke='#f5b82e' stroke-width='1.500'/>",
    "📄": "<path d='M4 1h9l4 4v14H4z' fill='#eef2f5' stroke='#99aab5'/>"
    + _line("7,8 14,8", "#99aab5", 1.5)
    + _line("7,11 14,11", "#99aab5", 1.5)
    + _line("7,14 12,14", "#99aab5", 1.5),
}
