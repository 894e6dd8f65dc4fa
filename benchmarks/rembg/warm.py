"""Cuts out the pictures of a folder with the library: `python -m benchmarks.rembg.warm NETWORK PICTURES OUTPUT`.

It prints the processor seconds of each picture, from file to file, as JSON. The first one is cut out once before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import carpus
from utils.system.malloc import keep_freed_memory


def main() -> None:
    network, pictures, output = map(Path, sys.argv[1:])
    keep_freed_memory()
    model = carpus.load(network)
    seconds = []
    paths = sorted(pictures.iterdir())
    for path in [paths[0], *paths]:
        begun_s = time.process_time()
        model.cutout(path).save(output / f"{path.stem}.png")
        seconds.append(time.process_time() - begun_s)
    sys.stdout.write(json.dumps(seconds[1:]) + "\n")


if __name__ == "__main__":
    main()
