"""Small ICC profiles, whose colours are known."""

from __future__ import annotations

from itertools import product

CYAN_LAB = (60, 50, 40)
"""What `cmyk_profile` says that cyan ink is: a red, so nobody takes it for cyan without the profile."""


def cmyk_profile() -> bytes:
    """Return a profile of four inks: cyan is `CYAN_LAB`, the others are black, and paper is white."""
    corners = bytearray()
    for cyan, *others in product((0, 1), repeat=4):
        lab = (0, 0, 0) if any(others) else CYAN_LAB if cyan else (100, 0, 0)
        corners += bytes([round(lab[0] * 2.55), lab[1] + 128, lab[2] + 128])
    identity = bytes(range(256))
    matrix = b"".join((0x10000 if row == column else 0).to_bytes(4) for row in range(3) for column in range(3))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + identity * 4 + bytes(corners) + identity * 3
    table += bytes(-len(table) % 4)
    white = b"XYZ \0\0\0\0" + b"".join(value.to_bytes(4) for value in (0xF6D6, 0x10000, 0xD32D))
    return assembled(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table, b"wtpt": white})


def grey_profile() -> bytes:
    """Return a profile of grey values that are light itself, without a gamma."""
    white = b"XYZ \0\0\0\0" + b"".join(value.to_bytes(4) for value in (0xF6D6, 0x10000, 0xD32D))
    curve = b"curv\0\0\0\0" + (0).to_bytes(4)
    return assembled(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": curve})


def assembled(device: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return a profile of version 2.4 with these tags."""
    offset, heads, contents = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        heads += name + (offset + len(contents)).to_bytes(4) + len(content).to_bytes(4)
        contents += content
    illuminant = b"".join(value.to_bytes(4) for value in (0xF6D6, 0x10000, 0xD32D))
    head = bytes(8) + b"\x02\x40\0\0" + device + space + connection + bytes(12) + b"acsp" + bytes(28) + illuminant
    body = head.ljust(128, b"\0") + len(tags).to_bytes(4) + heads + contents
    return len(body).to_bytes(4) + body[4:]
