"""Cuts out pictures with rembg; run by the Python of rembg's environment: `python worker.py PICTURES OUTPUT`.

It imports nothing of Carpus, which that environment does not have. It prints the processor seconds of each picture, by
the way of cutting out, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "decontaminate": {"decontaminate": True},
    "closed-form matting": {"alpha_matting": True},
}


def main() -> None:
    from PIL import Image
    from rembg import new_session, remove  # type: ignore[import-not-found]

    session = new_session("u2netp")
    if sys.argv[1] == "--warm":
        from_file_to_file(session, *map(Path, sys.argv[2:]))
        return
    pictures, output = map(Path, sys.argv[1:])
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    paths = sorted(pictures.glob("*.png"))
    # What the first call compiles and loads is not counted, here as with Carpus.
    for options in WAYS.values():
        remove(Image.open(paths[0]).convert("RGB").crop((0, 0, 64, 64)), session=session, **options)
    for path in paths:
        picture = Image.open(path).convert("RGB")
        for way, options in WAYS.items():
            begun_s = time.process_time()
            cutout = remove(picture, session=session, **options)
            seconds[way].append(time.process_time() - begun_s)
            (output / way).mkdir(parents=True, exist_ok=True)
            cutout.save(output / way / path.name)
    sys.stdout.write("\n" + json.dumps(seconds))


def from_file_to_file(session: Any, pictures: Path, output: Path) -> None:
    """Print the processor seconds of each picture, read and written; the first one is cut out once before."""
    from PIL import Image
    from rembg import remove

    seconds: list[float] = []
    output.mkdir(parents=True, exist_ok=True)
    paths = sorted(pictures.iterdir())
    for path in [paths[0], *paths]:
        begun_s = time.process_time()
        remove(Image.open(path), session=session).save(output / f"{path.stem}.png")
        seconds.append(time.process_time() - begun_s)
    sys.stdout.write("\n" + json.dumps(seconds[1:]))


if __name__ == "__main__":
    main()
