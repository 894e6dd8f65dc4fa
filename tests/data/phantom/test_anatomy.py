"""The bones come closed, in class order, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.hand_bone.classes import BONES
from data.phantom.anatomy import Anatomy
from data.phantom.proportions import resize
from data.phantom.surface import close


def test_all_bones_are_closed_and_in_class_order(anatomy: Anatomy) -> None:
    assert tuple(bone.name for bone in anatomy.bones) == BONES
    assert all(close(bone.surface) is bone.surface for bone in anatomy.bones)


def test_every_hinge_of_a_bone_exists(anatomy: Anatomy) -> None:
    assert {hinge for bone in anatomy.bones for hinge in bone.hinges} <= set(anatomy.hinges)


def test_fingers_point_up_and_the_thumb_is_at_the_left(anatomy: Anatomy) -> None:
    assert anatomy["finger-8"].ends[1][1] < anatomy["finger-11"].ends[0][1] < anatomy["Radius"].ends[1][1]
    assert anatomy["finger-1"].ends[1][0] < anatomy["finger-16"].ends[1][0]


def test_loading_writes_no_log(read_in: tuple[Anatomy, Path]) -> None:
    assert not list(read_in[1].iterdir())


def test_growing_bones_keep_their_joints(anatomy: Anatomy) -> None:
    grown = resize(anatomy, np.full(len(BONES), 1.1))
    for near, far in (("finger-7", "finger-6"), ("finger-6", "finger-5"), ("finger-2", "finger-1")):
        gap = anatomy[far].ends[0] - anatomy[near].ends[1]
        assert grown[far].ends[0] - grown[near].ends[1] == pytest.approx(gap, abs=1.5)
