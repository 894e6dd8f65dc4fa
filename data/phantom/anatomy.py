"""The bones and hinges of a right hand at rest, read from the `myo-sim` model and moved into the image's coordinates.

Coordinates in this package are millimetres: x to the right of the image, y down the image, z away from the X-ray tube,
from the back of the hand to the palm; the origin is the wrist joint. A right hand lies palm down, so its thumb is at
the left and its fingers point up.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.hand_bone.classes import BONES
from data.phantom.remesh import remesh
from data.phantom.surface import Surface, close, crop_below, normals
from utils.arrays import Floats

MESHES: dict[str, str] = {
    **dict(zip(BONES[0:3], ("thumbdist", "thumbprox", "1mc"), strict=True)),
    **dict(zip(BONES[3:7], ("2distph", "2midph", "2proxph", "2mc"), strict=True)),
    **dict(zip(BONES[7:11], ("3distph", "3midph", "3proxph", "3mc"), strict=True)),
    **dict(zip(BONES[11:15], ("4distph", "4midph", "4proxph", "4mc"), strict=True)),
    **dict(zip(BONES[15:19], ("5distph", "5midph", "5proxph", "5mc"), strict=True)),
    **{bone: bone.lower() for bone in BONES[19:]},
}
"""The name of each bone's mesh in `myo-sim`, without the suffix `_r`."""

PROXIMAL_ROW = ("Scaphoid", "Lunate", "Triquetrum", "Pisiform")
FOREARM = ("Radius", "Ulna")
FOREARM_MM = 150.0
"""Length of radius and ulna that is kept below the wrist; an image shows about half of it."""


ADDED: dict[str, tuple[tuple[float, ...], ...]] = {
    "Radius": (
        (-17.0, 11.0, 1.0, 7.5, -5.0, 15.0, 1.0, 7.0),  # the part that carries the lunate, torn open in the model
        (-12.0, 45.0, 0.0, 7.5, -11.0, 18.0, 1.0, 9.5),  # metaphysis
        (-20.5, 4.5, 1.0, 3.0, -18.0, 13.0, 1.0, 6.0),  # styloid process
    ),
    "Ulna": (
        (14.0, 16.0, -8.0, 7.0, 14.5, 14.0, -8.0, 7.5),  # head
        (18.8, 13.0, -8.0, 3.0, 19.6, 4.6, -8.0, 1.8),  # styloid process
    ),
}
CUT: dict[str, tuple[tuple[float, ...], ...]] = {
    "Radius": ((-5.4, -1.0, 0.0, 15.3, -5.4, -1.0, 2.0, 15.3),),  # the hollow that holds scaphoid and lunate
    "Ulna": ((17.6, 3.5, -8.0, 1.8, 17.2, 7.0, -8.0, 1.0),),  # the groove beside the styloid process
}
"""Rods (x, y, z, radius of each end; mm) to add to and cut from the model's forearm, which is coarse near the wrist."""

SHELL_MM = 0.55
"""Thickness of the cortical shell of carpal bones and of the ends of long bones."""

SHAFT_CORTEX_MM: dict[str, float] = {
    **dict.fromkeys(("finger-1", "finger-4", "finger-8", "finger-12", "finger-16"), 0.7),
    **dict.fromkeys(("finger-5", "finger-9", "finger-13", "finger-17"), 1.0),
    **dict.fromkeys(("finger-2", "finger-6", "finger-10", "finger-14", "finger-18"), 1.3),
    **dict.fromkeys(("finger-3", "finger-7", "finger-11", "finger-15", "finger-19"), 1.6),
    **dict.fromkeys(FOREARM, 2.4),
}
"""Thickness of the cortical rim in the middle of a long bone."""


@dataclass(frozen=True)
class Hinge:
    """A rotation axis: unit vector `axis` through the point `anchor` (mm), both in the rest pose."""

    axis: Floats
    anchor: Floats


@dataclass(frozen=True)
class Bone:
    """One bone at rest.

    `inner` [V, 3] are the vertices of the surface between cortical rim and spongy inside, with the faces of `surface`;
    `ends` [2, 3] the proximal and distal end on the long axis; `hinges` the names of the hinges that move the bone,
    from the elbow outwards.
    """

    name: str
    surface: Surface
    inner: Floats
    ends: Floats
    hinges: tuple[str, ...]


@dataclass(frozen=True)
class Anatomy:
    """The bones in class order, and the hinges by name. It consists of plain arrays, so it can be sent to a process."""

    bones: tuple[Bone, ...]
    hinges: dict[str, Hinge]

    def __getitem__(self, name: str) -> Bone:
        return self.bones[BONES.index(name)]


def load_anatomy() -> Anatomy:
    """Read, repair and align the bones of the `myo-sim` hand (about 2 s)."""
    model, state = _compile_hand()
    to_image = _image_frame(model, state)
    bones = tuple(_read_bone(model, state, name, to_image) for name in BONES)
    hinges = {
        model.joint(j).name.removesuffix("_r"): Hinge(
            axis=to_image.rotation @ state.xaxis[j], anchor=to_image(state.xanchor[j])
        )
        for j in range(model.njnt)
    }
    capitate, thumb = bones[BONES.index("Capitate")], bones[BONES.index("finger-3")]
    # Hinges of our own. The model's axis of deviation leans 36 degrees out of the beam; a hand that stays flat on the
    # detector turns about z. The model lacks the others.
    hinges["deviation"] = Hinge(axis=np.array([0.0, 0.0, 1.0]), anchor=hinges["deviation"].anchor)
    hinges["midcarpal"] = Hinge(axis=np.array([0.0, 0.0, 1.0]), anchor=capitate.ends[0])
    hinges["scaphoid"] = Hinge(axis=np.array([1.0, 0.0, 0.0]), anchor=bones[BONES.index("Scaphoid")].ends[0])
    hinges["cmc_rotation"] = Hinge(axis=_unit(thumb.ends[1] - thumb.ends[0]), anchor=thumb.ends[0])
    return Anatomy(bones, hinges)


def turn(axis: Floats, anchor: Floats, angle: float) -> Floats:
    """Return the 4 x 4 transform of a rotation by `angle` (radians) about `axis` through `anchor` (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    transform = np.eye(4)
    transform[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    transform[:3, 3] = anchor - transform[:3, :3] @ anchor
    return transform


@dataclass(frozen=True)
class _ImageFrame:
    """Converts metres of MuJoCo's world to millimetres of the image. Rows of `rotation`: right, down, into the palm."""

    rotation: Floats
    origin: Floats

    def __call__(self, points: Floats) -> Floats:
        turned: Floats = (points - self.origin) @ self.rotation.T * 1000
        return turned


def _compile_hand() -> tuple[Any, Any]:
    """Return the compiled MuJoCo model and its state in the rest pose."""
    import mujoco

    # MuJoCo warns of an empty prefix (and writes MUJOCO_LOG.TXT to the working folder), which matters for saving only.
    mujoco.set_mju_user_warning(lambda _message: None)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attaching a spec with an empty prefix")
            from myo_sim.build.compose import build_spec

            model = build_spec("myohand_r").compile()
    finally:
        mujoco.set_mju_user_warning(None)
    state = mujoco.MjData(model)
    mujoco.mj_kinematics(model, state)
    return model, state


def _image_frame(model: Any, state: Any) -> _ImageFrame:
    """Return the frame that looks along the palm's normal, with the forearm down.

    The normal is the direction in which metacarpals and proximal phalanges extend least.
    """
    palm = [_world_vertices(model, state, f"finger-{number}") for number in (6, 7, 10, 11, 14, 15, 18, 19)]
    points = np.concatenate(palm)
    normal = np.linalg.eigh(np.cov(points.T))[1][:, 0]
    wrist = state.xpos[model.body("lunate_r").id].copy()
    pisiform = _world_vertices(model, state, "Pisiform").mean(axis=0)
    palmar = normal * np.sign((pisiform - wrist) @ normal)
    down = wrist - state.xpos[model.body("3proxph_r").id]
    down -= palmar * (down @ palmar)
    down = _unit(down)
    return _ImageFrame(np.stack([np.cross(down, palmar), down, palmar]), wrist)


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.linalg.norm(vector)
    return unit


def _world_vertices(model: Any, state: Any, bone: str) -> Floats:
    """Return the vertices of a bone at rest in MuJoCo's world, metres."""
    mesh, geom = _mesh_and_geom(model, bone)
    first = model.mesh_vertadr[mesh]
    vertices = np.asarray(model.mesh_vert[first : first + model.mesh_vertnum[mesh]], dtype=np.float64)
    placed: Floats = vertices @ state.geom_xmat[geom].reshape(3, 3).T + state.geom_xpos[geom]
    return placed


def _mesh_and_geom(model: Any, bone: str) -> tuple[int, int]:
    mesh = model.mesh(f"{MESHES[bone]}_r").id
    return mesh, int(np.flatnonzero(model.geom_dataid == mesh)[0])


def _read_bone(model: Any, state: Any, name: str, to_image: _ImageFrame) -> Bone:
    mesh, geom = _mesh_and_geom(model, name)
    first = model.mesh_faceadr[mesh]
    faces = np.asarray(model.mesh_face[first : first + model.mesh_facenum[mesh]], dtype=np.int32)
    surface = _repair(name, Surface(to_image(_world_vertices(model, state, name)), faces))
    ends = _ends(surface.vertices)
    inner = surface.vertices - normals(surface) * _cortex_mm(name, surface.vertices, ends)[:, None]
    return Bone(name, surface, inner, ends, _hinges_of(model, name, int(model.geom_bodyid[geom])))


def _cortex_mm(name: str, vertices: Floats, ends: Floats) -> Floats:
    """Return the thickness of the cortical rim at each vertex: thin at a bone's ends, several times that in its shaft.

    A smooth step joins the two between 0.12 and 0.37 of the length from an end.
    """
    if name not in SHAFT_CORTEX_MM:
        return np.full(len(vertices), SHELL_MM)
    axis = ends[1] - ends[0]
    along = (vertices - ends[0]) @ axis / (axis @ axis)
    from_end = 1 - along if name in FOREARM else np.minimum(along, 1 - along)
    rise = np.clip((from_end - 0.12) / 0.25, 0, 1)
    rise = rise**2 * (3 - 2 * rise)
    thickness: Floats = SHELL_MM + (SHAFT_CORTEX_MM[name] - SHELL_MM) * rise
    return thickness


def _repair(name: str, surface: Surface) -> Surface:
    """Close a surface. Radius and ulna have only 390 faces and torn seams, so they are rebuilt and rounded."""
    if name in FOREARM:
        near_wrist = close(crop_below(surface, FOREARM_MM))
        return remesh(near_wrist, spacing_mm=1.2, blur_mm=1.4, added=ADDED[name], cut=CUT[name])
    if name in ("finger-16", "Pisiform"):
        return remesh(close(surface), spacing_mm=0.4, blur_mm=0.4)
    return close(surface)


def _ends(vertices: Floats) -> Floats:
    """Return the proximal (nearer to the elbow) and the distal end of a bone on its long axis, [2, 3]."""
    centre = vertices.mean(axis=0)
    axis = np.linalg.eigh(np.cov(vertices.T))[1][:, 2]
    axis *= -np.sign(axis[1])
    reach = (vertices - centre) @ axis
    ends: Floats = centre + np.outer([reach.min(), reach.max()], axis)
    return ends


def _hinges_of(model: Any, name: str, body: int) -> tuple[str, ...]:
    """Return the names of the hinges between the elbow and a body, from the elbow outwards, without the suffix `_r`."""
    names: list[str] = []
    while body != 0:
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        names[:0] = [model.joint(j).name.removesuffix("_r") for j in range(first, first + count)]
        body = int(model.body_parentid[body])
    if name not in (*PROXIMAL_ROW, *FOREARM):
        names.insert(names.index("flexion") + 1, "midcarpal")
    if name == "Scaphoid":
        names.append("scaphoid")
    if "cmc_abduction" in names:
        names.insert(names.index("cmc_abduction") + 1, "cmc_rotation")
    return tuple(names)
