"""Serve networks in ONNX files over HTTP: `python serve.py --model FILE.onnx [--model FILE.onnx …] [key=value …]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from utils.arguments import whole_number
from utils.config.command_line import add_settings
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

if TYPE_CHECKING:
    from web.settings import Serve

DEFAULTS = Path(__file__).parent / "configs" / "serve.yaml"


def main() -> None:
    arguments = parse()
    log_to_console()
    from web.settings import load_settings

    settings = load_settings(arguments.config, overrides_of(arguments))
    models = tuple(dict.fromkeys([*settings.models, *arguments.model]))
    if not models:
        raise UserError("--model: no network is named. Name an ONNX file, such as --model weights/u2netp.onnx.")
    from web.app import build_app
    from web.page.mount import mount_page
    from web.server import serve

    settings = settings.model_copy(update={"models": models})
    app = build_app(settings)
    mount_page(app, app.state.engine)
    serve(app, settings)


def overrides_of(arguments: argparse.Namespace) -> list[str]:
    """Return the settings among the arguments as `key=value`."""
    given = {"host": arguments.host, "port": arguments.port}
    return [*arguments.overrides, *(f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None)]


def settings_schema() -> type[Serve]:
    """Return the schema of the settings, imported when a key is to be explained."""
    from web.settings import Serve

    return Serve


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Serve networks over HTTP: cut-outs, masks, and a page for people.", add_help=False
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="FILE.onnx", help="a network, by its file name; may be repeated"
    )
    parser.add_argument("--config", type=Path, default=DEFAULTS, help="settings (default: configs/serve.yaml)")
    parser.add_argument("--host", help="address to listen at (default: the config's, 127.0.0.1)")
    parser.add_argument("--port", type=whole_number(0, 65_535), help="port to listen at (default: the config's, 8000)")
    add_settings(parser, "settings: queue=32 limits.file_mb=20", settings_schema)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    run_program(main)
