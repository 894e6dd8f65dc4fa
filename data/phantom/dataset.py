"""Plan a data set of phantom hands and render it in parallel processes. The same seed gives the same bytes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from data.phantom.anatomy import Anatomy
from data.phantom.develop import develop
from data.phantom.extras import extras_of
from data.phantom.layout import write_hand
from data.phantom.pose import bounds, pose
from data.phantom.proportions import mean_hand
from data.phantom.radiograph import Shadow, cast_shadows, expose
from data.phantom.tissue import skin
from data.phantom.variation import draw_body, draw_hand, draw_image
from data.phantom.wide.film import render_film
from data.phantom.wide.ranges import UNSEEN, WIDE, Ranges
from utils.arrays import Bytes
from utils.errors import UserError
from utils.files import read_json, write_text
from utils.system.cores import usable_cores
from utils.system.signals import ignore_signals, signals_held_back

CONTEST = "contest"
RANGES: dict[str, Ranges] = {"wide": WIDE, "unseen": UNSEEN}
PRESETS = (CONTEST, *RANGES)
"""What hands and films vary in: as the contest's do; as those of many hospitals; beyond what `wide` draws from."""

BENT_SHARE = {"train": 0.10, "test": 0.57}
"""Share of patients whose wrists are bent to the ulnar side, as in the contest."""

WIDE_BENT_SHARE = 0.25
"""The same in both splits of the other presets, whose wrists lean to either side anyway."""

MANIFEST = "phantom.json"


@dataclass(frozen=True)
class PhantomSet:
    """The settings that determine every byte of a data set."""

    train_patients: int
    test_patients: int
    size_px: int = 2048
    seed: int = 0
    preset: str = CONTEST
    inverted: float = 0.0
    """Share of films whose bones are dark; with the preset `contest` there are none."""

    @property
    def settings(self) -> dict[str, object]:
        """What the set's manifest says. Sets of the preset `contest` say what they said before there were others."""
        settings = asdict(self)
        if self.preset == CONTEST:
            del settings["preset"], settings["inverted"]
        return settings


@dataclass(frozen=True)
class PlannedHand:
    """One hand to render: `seed` is the patient's, shared by both hands."""

    split: str
    patient: str
    name: str
    left: bool
    bent: bool
    seed: tuple[int, ...]


def write_dataset(out: Path, wanted: PhantomSet, *, jobs: int | None = None) -> Generator[PlannedHand, None, None]:
    """Render a data set to `out`; yield each hand when its files are written.

    If the folder holds the same set already, nothing is done. Raises `UserError` if it holds something else.
    """
    if _is_complete(out, wanted):
        return
    _write_manifest(out, wanted, complete=False)
    yield from render_all(out, plan(wanted), wanted, jobs=jobs)
    _write_manifest(out, wanted, complete=True)


def plan(wanted: PhantomSet) -> list[PlannedHand]:
    """Return all hands of a set. The numbers of test patients continue those of training patients."""
    hands: list[PlannedHand] = []
    first = 1
    for place, (split, count) in enumerate((("train", wanted.train_patients), ("test", wanted.test_patients))):
        rng = np.random.default_rng((wanted.seed, place, count))
        bent_share = BENT_SHARE[split] if wanted.preset == CONTEST else WIDE_BENT_SHARE
        bent = set(rng.permutation(count)[: int(bent_share * count + 0.5)].tolist())
        for i in range(count):
            hands += _patient(split, first + i, bent=i in bent, seed=wanted.seed)
        first += count
    return hands


def render_all(out: Path, hands: list[PlannedHand], wanted: PhantomSet, *, jobs: int | None) -> Iterator[PlannedHand]:
    """Render hands in `jobs` processes (default: one per core); yield them in order."""
    jobs = min(jobs or usable_cores(), len(hands))
    anatomy = mean_hand()
    if jobs <= 1:
        for hand in hands:
            render(anatomy, hand, out, wanted)
            yield hand
        return
    # Spawn, do not fork: a fork would copy locks that other threads of the caller may hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(anatomy, out, wanted)) as pool:
        try:
            with signals_held_back():
                rendered = pool.map(_render_in_worker, hands, chunksize=1)
            yield from rendered
        finally:  # Without it the pool would render all hands before an interrupted program ends.
            pool.shutdown(cancel_futures=True)


def render(anatomy: Anatomy, planned: PlannedHand, out: Path, wanted: PhantomSet) -> None:
    """Render one hand and write its image and label."""
    if wanted.preset == CONTEST:
        image, shadows, rng = _render_contest(anatomy, planned, wanted.size_px)
    else:
        rng = np.random.default_rng((*planned.seed, int(planned.left), 1))
        image, shadows = render_film(
            anatomy,
            planned.seed,
            RANGES[wanted.preset],
            left=planned.left,
            bent=planned.bent,
            size_px=wanted.size_px,
            inverted=wanted.inverted,
        )
    write_hand(out / planned.split, planned.patient, planned.name, image, shadows, rng)


def _render_contest(
    anatomy: Anatomy, planned: PlannedHand, size_px: int
) -> tuple[Bytes, list[Shadow], np.random.Generator]:
    """Return a square image, the mask of each bone, and the generator that goes on to draw the label's oddities."""
    body = draw_body(np.random.default_rng(planned.seed))
    rng = np.random.default_rng((*planned.seed, int(planned.left)))
    hand = draw_hand(rng, body, left=planned.left, bent=planned.bent)
    variation = draw_image(rng, left=planned.left)
    bones = pose(anatomy, hand)
    render_px = size_px if size_px >= 1024 else 2 * size_px
    surface = skin(bones, thickness=body.tissue, scale=body.scale)
    attenuation = expose(bones, surface, extras_of(bones, surface, hand, variation.other_hand), hand, render_px)
    image = develop(attenuation, variation, size_px, bones_mm=bounds(bones))
    return image, cast_shadows(bones, size_px), rng


def _patient(split: str, number: int, *, bent: bool, seed: int) -> list[PlannedHand]:
    """Return both hands of a patient. Only the first patient's names say the side, and the order of hands is random."""
    rng = np.random.default_rng((seed, 7, number))
    taken_ms = 1661130000000 + number * 600_000 + np.sort(rng.choice(599_000, 2, replace=False))
    left_first = bool(rng.integers(2))
    hands = []
    for taken, left in zip(taken_ms, (left_first, not left_first), strict=True):
        side = ("_L" if left else "_R") if number == 1 else ""
        hands.append(PlannedHand(split, f"ID{number:03d}", f"image{taken}{side}", left, bent, (seed, 11, number)))
    return hands


def _is_complete(out: Path, wanted: PhantomSet) -> bool:
    manifest = out / MANIFEST
    if out.is_file():
        raise UserError(f"{out}: is a file. Name a folder with --out.")
    if not manifest.exists():
        if out.exists() and any(out.iterdir()):
            raise UserError(f"{out}: expected an empty or absent folder; choose another --out or remove it.")
        return False
    way_out = f"Remove {out}, or choose another --out."
    found = read_json(manifest, unreadable=way_out, malformed=way_out)
    held = found.get("set") if isinstance(found, dict) else None
    if held != wanted.settings:
        raise UserError(f"{out}: holds other phantom hands ({held}); choose another --out or remove it.")
    return bool(found.get("complete"))


def _write_manifest(out: Path, wanted: PhantomSet, *, complete: bool) -> None:
    text = json.dumps({"set": wanted.settings, "complete": complete}, indent=2)
    write_text(out / MANIFEST, text + "\n")


_worker: dict[str, tuple[Anatomy, Path, PhantomSet]] = {}


def _start_worker(anatomy: Anatomy, out: Path, wanted: PhantomSet) -> None:
    ignore_signals()  # The parent handles them and cancels the remaining hands.
    cv2.setNumThreads(1)
    _worker["job"] = (anatomy, out, wanted)


def _render_in_worker(hand: PlannedHand) -> PlannedHand:
    anatomy, out, wanted = _worker["job"]
    render(anatomy, hand, out, wanted)
    return hand
