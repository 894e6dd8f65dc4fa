"""Note how images look while they are read for prediction, and name those that the network has not seen the like of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from data.check.looks import Look, Usual, look_of, oddity_of, usual_look
from utils.arrays import Image
from utils.text import list_names

log = logging.getLogger(__name__)

NAMED = 50


@dataclass(frozen=True)
class ImageWatch:
    """Reads images as `read_image` does. `trained_on`: how the images to train on looked; None if that is not known."""

    read_image: Callable[[Path], Image]
    trained_on: Usual | None
    looks: dict[Path, Look] = field(default_factory=dict)

    def read(self, path: Path) -> Image:
        """Read an image and note how it looks."""
        image = self.read_image(path)
        self.looks[path] = look_of(image)
        return image

    def name_unusual(self) -> None:
        """Log a warning that names the images unlike those trained on; if these are not known, unlike the others."""
        usual = self.trained_on or usual_look(list(self.looks.values()))
        if usual is None:
            return
        found = [(path, oddity_of(look, usual)) for path, look in sorted(self.looks.items())]
        odd = [f"{path.parent.name}/{path.name} ({oddity})" for path, oddity in found if oddity]
        if odd:
            those = "those that the network was trained on" if self.trained_on else "the others"
            log.warning("%d of %d images look unlike %s: %s", len(odd), len(found), those, list_names(odd, NAMED, "; "))
