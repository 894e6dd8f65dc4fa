"""Cuts out the pictures of a folder as `inference.py` does: `python -m benchmarks.rembg.warm NETWORK PICTURES OUTPUT`.

It prints the processor seconds of each picture, from file to file, as JSON. The first one is cut out once before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from data.cutout.photos.reader import read_photo
from data.cutout.pictures.kinds import rgba
from data.cutout.pictures.writer import Style
from runtime.predictor import open_predictor
from utils.files import replacing
from utils.system.malloc import keep_freed_memory


def main() -> None:
    network, pictures, output = map(Path, sys.argv[1:])
    keep_freed_memory()
    predictor, style = open_predictor(network, workers=1), Style(rgba(), own_colours=True)
    seconds = []
    paths = sorted(pictures.iterdir())
    for path in [paths[0], *paths]:
        begun_s = time.process_time()
        photo = read_photo(path)
        with replacing(output / f"{path.stem}.png") as file:
            file.write(style.encode(photo, predictor.mask(photo.pixels)[..., 0], ".png"))
        seconds.append(time.process_time() - begun_s)
    sys.stdout.write(json.dumps(seconds[1:]) + "\n")


if __name__ == "__main__":
    main()
