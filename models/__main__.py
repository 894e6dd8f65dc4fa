"""List the names of architectures and encoders: `python -m models [pattern]`, such as `hrnet` or `tu-conv*_tiny`."""

from __future__ import annotations

import argparse
import sys
from fnmatch import fnmatch

from models import MODELS
from models.encoders import encoder_names
from utils.config.suggestions import nearest
from utils.errors import UserError
from utils.program import run_program


def main() -> None:
    """Write the architectures, and the encoders that match, one a line."""
    pattern = _parser().parse_args().pattern
    names = [name for name in encoder_names() if fnmatch(name, f"*{pattern}*")]
    if not names:
        raise UserError(
            f"No encoder matches '{pattern}'. Near: {', '.join(nearest(pattern, encoder_names(), 5)) or '-'}"
        )
    sys.stdout.write(f"architectures: {', '.join(MODELS)}\n")
    sys.stdout.write(f"encoders ({len(names)}; tu- ones are timm's, and may be followed by .<tag of its weights>):\n")
    sys.stdout.write("".join(f"  {name}\n" for name in names))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models", description="List architectures and encoders.")
    parser.add_argument("pattern", nargs="?", default="*", help="part of a name, or a shell pattern; all by default")
    return parser


if __name__ == "__main__":
    run_program(main)
