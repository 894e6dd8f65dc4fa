from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from data.masks.packed import pack_planes
from trainer.drawing.class_map import MARGIN_PX, draw_class_map, labels_of
from utils.pictures import class_colours

CLASSES = dict(zip(("left & up", "right", "absent"), class_colours(3), strict=True))


def masks() -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    found = np.zeros((3, 40, 40), bool)
    found[0, 5:10, 2:7] = True
    found[1, 30:35, 30:35] = True
    return found


def test_every_class_that_is_there_is_named_at_its_place() -> None:
    drawn = draw_class_map(np.full((40, 40), 90, np.uint8), pack_planes(masks()), CLASSES)
    root = ElementTree.fromstring(drawn)  # well-formed, names escaped
    names = [element.text for element in root.iter() if element.tag.endswith("text")]
    dots = [(float(e.attrib["cx"]), float(e.attrib["cy"])) for e in root.iter() if e.tag.endswith("circle")]
    assert names == ["left & up", "right"]
    # The frame of an image of 40 px has 480, so twelve for each.
    assert dots == [(54 + MARGIN_PX, 90), (390 + MARGIN_PX, 390)]
    assert drawn.count("<path ") == 2
    assert re.search(r'href="data:image/jpeg;base64,\S{100,}"', drawn)


def test_names_are_in_the_order_of_their_places() -> None:
    colour_of = dict(zip(("absent", "lower", "upper"), class_colours(3), strict=True))
    labels = labels_of(pack_planes(masks()[::-1].copy()), colour_of, (40, 40))
    assert [label.name for label in labels] == ["upper", "lower"]
