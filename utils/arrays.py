"""Names for the arrays that modules pass to each other, and for sizes and colours.

The first group says what an array holds and in which layout. The second says only the type of its elements; there the
docstring or a suffix of the variable's name gives the shape, as in `scores_NC`: float64[N, C].
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

# Shapes: H/W pixels, C classes, K bytes of a mask for each pixel (ceil(C/8) if it is packed), N points.

Size: TypeAlias = tuple[int, int]
"""(H, W) in pixels."""
Image: TypeAlias = npt.NDArray[np.uint8]
"""A grey image, uint8[H, W], or an RGB one, uint8[H, W, 3]."""
Mask: TypeAlias = npt.NDArray[np.bool_]
"""The mask of one class, bool[H, W]."""
Packed: TypeAlias = npt.NDArray[np.uint8]
"""The masks of all classes in bits, uint8[H, W, K]; see `data.masks.packed`."""
StoredMask: TypeAlias = npt.NDArray[np.uint8]
"""The masks of all classes as their task stores them, uint8[H, W, K]; see `data.encoding`."""
HALF_ALPHA = 128
"""A pixel belongs to a class of a soft mask from this alpha on."""
Pixels: TypeAlias = npt.NDArray[np.uint8]
"""An image or a stored mask, for code that treats both alike."""
Picture: TypeAlias = npt.NDArray[np.uint8]
"""A drawing, uint8[H, W, 3] in OpenCV's order (blue, green, red)."""
Colour: TypeAlias = tuple[int, int, int]
"""(blue, green, red), each 0..255."""
Ring: TypeAlias = npt.NDArray[np.int32]
"""A closed polygon, int32[N, 2]: pixels (x, y)."""

Bools: TypeAlias = npt.NDArray[np.bool_]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.uint32]
Ints32: TypeAlias = npt.NDArray[np.int32]
Ints: TypeAlias = npt.NDArray[np.int64]
Indices: TypeAlias = npt.NDArray[np.intp]
Floats32: TypeAlias = npt.NDArray[np.float32]
Floats: TypeAlias = npt.NDArray[np.float64]
