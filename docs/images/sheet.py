"""Draw the spreadsheet of a team of five in the middle of a night, as the stand-in has kept it.

python -m docs.images.sheet page.html
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from html import escape
from pathlib import Path
from typing import Any

from data.hand_bone.classes import BONES
from services.sheets.board import COLUMNS as BOARD
from services.sheets.results import COLUMNS as RESULTS
from tests.services.sheets.grid import EPOCH, Grid, letters, rules_at
from tests.services.sheets.run import CONFIG, Run
from tests.services.sheets.standin import SheetsStandIn
from utils.events import RunFailed
from utils.files import write_text

NIGHT_S = datetime(2026, 11, 21, 20, 0, tzinfo=timezone(timedelta(hours=9))).timestamp()
END_S = NIGHT_S + 5.2 * 3600
EPOCH_S = 432.0
MODELS = {
    "unetplusplus": "tu-hrnet_w48",
    "unet": "efficientnet-b5",
    "deeplabv3plus": "resnet101",
    "segformer": "mit_b3",
    "fpn": "tu-convnext_base",
}
PUBLIC = RESULTS.index("public score")
STYLE = """
body { zoom: 0.9; font: 13px Arial, "Noto Sans CJK KR", sans-serif; margin: 8px; background: #fff; color: #202124 }
h1 { font-size: 14px; font-weight: normal; margin: 18px 0 6px }
table { border-collapse: collapse; font-size: 12px }
td, th { border: 1px solid #e2e3e3; padding: 3px 5px; white-space: nowrap; text-align: left; height: 17px }
th { background: #f8f9fa; color: #5f6368; font-weight: normal; text-align: center; min-width: 22px }
td.number { text-align: right }
tr.header td { border-bottom: 3px solid #bdc1c6; background: #fff }
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.images.sheet", description="Draw a spreadsheet.")
    parser.add_argument("output", type=Path, help="the page to write")
    with tempfile.TemporaryDirectory() as folder, SheetsStandIn() as google:
        write_text(parser.parse_args().output, night(google, Path(folder)))


def night(google: SheetsStandIn, folder: Path) -> str:
    """Five people, five servers: two train, one was killed, one has finished, one ran out of memory."""
    team = [member(google, folder, number) for number in range(5)]
    for run, best, epochs in zip(team[:3], (0.9671, 0.9588, 0.9614), (52, 44, 60), strict=True):
        train(run, NIGHT_S - 26 * 3600, best, epochs)
        finish(run, best, epochs)
    team = [again(run, number) for number, run in enumerate(team)]
    ends = (END_S, END_S - 40, END_S - 2400, END_S - 7000, END_S - 9000)
    for run, best, end_s in zip(team, (0.9702, 0.9641, 0.9655, 0.9633, 0.9217), ends, strict=True):
        train(run, NIGHT_S + 60 * team.index(run), best, int((end_s - NIGHT_S) / EPOCH_S))
        refresh(run, end_s)
    finish(team[3], 0.9633, int((END_S - 7000 - NIGHT_S) / EPOCH_S))
    team[4].send(RunFailed("night", folder, "no memory left on the GPU", fault="memory"))
    google.book.tab("Total").cells[1, PUBLIC] = 0.9649
    return drawn(google)


def drawn(google: SheetsStandIn) -> str:
    now = serial(datetime.fromtimestamp(END_S, timezone(timedelta(hours=9))).replace(tzinfo=None))
    tabs = google.book.tab
    return page(
        [
            picture(tabs("servers"), now, columns=len(BOARD)),
            picture(tabs("Total"), now, columns=PUBLIC + 1),
            picture(tabs("Total"), now, columns=len(RESULTS) + 8, first=PUBLIC + 1),
        ]
    )


def member(google: SheetsStandIn, folder: Path, number: int, attempt: int = 1) -> Run:
    """One of the team with a server and a network of their own."""
    (model, encoder), user = list(MODELS.items())[number], ("kim", "lee", "park", "choi", "jung")[number]
    config: dict[str, Any] = {**CONFIG, "model": {"name": model, "encoder": encoder}}
    config["early_stopping"] = {"metric": "dice"}
    name = f"{model}_{attempt}"
    run_id = f"{random.Random(name).getrandbits(48):012x}"
    return Run(
        google,
        folder / f"{user}-{attempt}",
        **{"run_id": run_id, "title": name, "host": f"v100-{number + 1}", "user": user},
        **{"fold": number % 2, "config": config, "commit": f"{0x5F3A91C07 + number:010x}", "dirty": number == 1},
    )


def again(run: Run, number: int) -> Run:
    """The same person's next run."""
    run.channel.close()
    return member(run.google, run.folder.parent, number, attempt=2)


def train(run: Run, start_s: float, best: float, epochs: int) -> None:
    """Epochs that come near a Dice, each with scores of all bones."""
    draw = random.Random(run.facts.run_id)
    run.now_s = start_s
    run.start(epochs=60)
    for epoch in range(epochs):
        run.now_s += EPOCH_S
        score = best - 0.5 * 0.8**epoch
        run.end_epoch(
            epoch, score, epochs=60, seconds=EPOCH_S, scores={bone: score + draw.uniform(-0.03, 0.02) for bone in BONES}
        )


def refresh(run: Run, at_s: float) -> None:
    run.refresh(at_s - run.now_s)


def finish(run: Run, best: float, epochs: int) -> None:
    run.now_s += 60
    run.finish(best, epochs=epochs, best_epoch=epochs - 1, seconds=epochs * EPOCH_S)


def page(pictures: Sequence[str]) -> str:
    return f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style>{''.join(pictures)}"


def picture(grid: Grid, now_serial: float, *, columns: int, first: int = 0, spare_rows: int = 1) -> str:
    """Columns of a tab, from `first` to before `columns`, at a moment of the spreadsheet's clock."""
    last = max((row for row, _ in grid.cells), default=0)
    names = "".join(f"<th>{letters(column)}</th>" for column in range(first, columns))
    rows = [_row(grid, row, now_serial, range(first, columns)) for row in range(last + 1 + spare_rows)]
    title = escape(grid.title) + (", further right" if first else "")
    return f"<h1>{title}</h1><table><tr><th></th>{names}</tr>{''.join(rows)}</table>"


def serial(at: datetime) -> float:
    """A moment of the spreadsheet's clock as it counts days."""
    return (at - EPOCH) / timedelta(days=1)


def _row(grid: Grid, row: int, now_serial: float, columns: range) -> str:
    style = ""
    for rule in rules_at(grid, row, now_serial):
        style = _css(rule["booleanRule"]["format"])
    cells = "".join(_cell(grid, row, column, style) for column in columns)
    kind = " class='header'" if row < grid.frozen else ""
    return f"<tr{kind}><th>{row + 1}</th>{cells}</tr>"


def _cell(grid: Grid, row: int, column: int, style: str) -> str:
    value = grid.cells.get((row, column), "")
    kind = "" if isinstance(value, str) else " class='number'"
    return f"<td{kind} style='{style}'>{escape(str(grid.value(row, column, True)))}</td>"


def _css(look: Any) -> str:
    back, text = look["backgroundColor"], look["textFormat"]
    struck = ";text-decoration:line-through" if text.get("strikethrough") else ""
    return f"background:{_rgb(back)};color:{_rgb(text['foregroundColor'])}{struck}"


def _rgb(color: Any) -> str:
    return f"rgb({','.join(str(round(255 * color[name])) for name in ('red', 'green', 'blue'))})"


if __name__ == "__main__":
    main()
