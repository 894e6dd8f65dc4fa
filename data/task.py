"""What a task is: its classes, how its images are found and read, how its predictions are judged and written.

Everything between reading and writing works for any task and never asks which one it is. The tasks themselves are in
folders of their own, such as `data/hand_bone/`; `data/tasks.py` is the table of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from data.check.checks import Checks
from data.encoding import BITS, Encoding
from data.files import SplitFiles
from data.masks.rle import Runs
from data.sample import Sample
from utils.arrays import Colour, Floats, Image, Size, StoredMask
from utils.errors import UserError
from utils.metric import Metric
from utils.pictures import class_colours, from_hex

if TYPE_CHECKING:
    from data.polygons.classes import ClassEntry


class FindSamples(Protocol):
    """A split folder → its samples, sorted, without the excluded."""

    def __call__(self, split_dir: Path, *, labelled: bool, exclude: Collection[str] = ...) -> list[Sample]: ...


class MaskWriter(Protocol):
    """Takes each sample's mask at its native size, in the order of the samples it was opened with."""

    @property
    def done(self) -> int:
        """Samples whose masks are written, those of an interrupted call included: the next mask is that of this one."""

    def write_mask(self, name: str, mask: StoredMask, /) -> None:
        """Write the mask uint8[H, W, K] of the sample of this name, in the task's encoding."""


class LeavingWriter(MaskWriter, Protocol):
    """A writer whose output may lack images."""

    @property
    def left_out(self) -> Sequence[str]:
        """Why each image that is left out is, also by an interrupted call."""

    def leave_out(self, reason: str, /) -> None:
        """Note that the next sample has no mask."""


class SharedWriter(LeavingWriter, Protocol):
    """A writer that several processes may share: each makes contents, and the main one writes all."""

    def elsewhere(self) -> AbstractContextManager[object]:
        """Prepare to make contents in a process that writes nothing; for a `with`, in the place of the writer's own."""

    def content_of(self, name: str, mask: StoredMask, /) -> bytes:
        """Make what is written of a sample, in any process and any order."""

    def write_content(self, content: bytes, /) -> None:
        """Write what `content_of` has made of the next sample."""


class Predictions(Protocol):
    """Finished masks of many images, as runs."""

    @property
    def path(self) -> Path:
        """Where they were read from."""

    @property
    def names(self) -> list[str]:
        """The images' names."""

    @property
    def runs(self) -> Mapping[str, tuple[Runs, ...]]:
        """The runs of each class, by image."""

    def of(self, name: str, size_hw: Size) -> tuple[Runs, ...]:
        """The runs of an image of that size. Raises `UserError` if it is not there or its runs leave the image."""


OpenWriter: TypeAlias = Callable[[Path, Sequence[Sample], str, int], AbstractContextManager[MaskWriter]]


def _none_other(_: Path) -> None:
    return None


@dataclass(frozen=True)
class Grouped:
    """A function of a layout that is given `group_pattern`; equal to another of the same pattern."""

    function: Callable[..., Any]
    pattern: str

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.function(*args, group_pattern=self.pattern, **options)


def _ungrouped(function: Callable[..., Any]) -> Callable[..., Any]:
    return function.function if isinstance(function, Grouped) else function


@dataclass(frozen=True)
class Layout:
    """The folders of a data set, and how samples are found in them."""

    find_samples: FindSamples
    find_images: Callable[[Path], list[Sample]]
    """A folder of images alone → its samples, sorted."""
    list_files: Callable[[Path], SplitFiles]
    """A split folder → all its files, those that are left out with the reason."""
    label_name: Callable[[str], str]
    """A sample's key → its label's path in the split folder."""
    folders: tuple[str, str]
    """The folders of images and of labels in a split folder."""
    described: str
    """The folders that belong into `data.root`, for sentences: "train/images, train/masks, test/images"."""
    image_name: Callable[[str], str] | None = None
    """A sample's key → its image's path in the split folder; None: the key below the folder of images."""
    labelled: Path = Path("train")
    """The folder of the labelled images below `data.root`."""
    unlabelled: Path = Path("test")
    """The folder below `data.root` whose images are predicted if no other is named."""
    scored: Path = Path("test")
    """The folder below `data.root` whose labels predictions are scored by."""
    other_splits: Callable[[Path], tuple[Path, Path] | None] = _none_other
    """A root without both folders above → those of a public data set as it is unpacked, in the place of `labelled` and
    of `unlabelled` and `scored`, relative to the root; None if it holds none that is known."""
    find_pairs: Callable[[Path, Path], list[Sample]] | None = None
    """A folder of images and one of their masks → labelled samples; None if labels are no masks in a folder."""
    group: str = "group"
    """What the images of one group have in common, in the singular: "person"."""
    names_identify: bool = True
    """Whether images or groups of one name show the same in all splits and roots. If not, equal bytes do."""

    groups_by_name: bool = False
    """Whether `find_samples` and `list_files` take `group_pattern`, the pattern by which names say the group."""

    def grouped_by(self, pattern: str | None) -> Layout:
        """Return the layout whose groups follow from images' names, by `data.group_pattern`; None: as it has them.

        Raises `UserError` if its groups are no matter of names.
        """
        if pattern is not None and not self.groups_by_name:
            raise UserError(
                f"data.group_pattern: groups of this task are no matter of names ({self.group}). Leave it out."
            )
        find: Any = _ungrouped(self.find_samples)
        listed: Any = _ungrouped(self.list_files)
        if pattern is None:
            return replace(self, find_samples=find, list_files=listed)
        return replace(self, find_samples=Grouped(find, pattern), list_files=Grouped(listed, pattern))

    def labelled_in(self, root: Path) -> Path:
        """Return the folder of the labelled images of a data set."""
        return root / (self._other_in(root) or (self.labelled,))[0]

    def scored_in(self, root: Path) -> Path:
        """Return the folder of a data set whose labels predictions are scored by."""
        return root / (self._other_in(root) or (None, self.scored))[1]

    def unlabelled_in(self, root: Path) -> Path:
        """Return the folder of a data set whose images are predicted if no other is named."""
        folder = root / (self._other_in(root) or (None, self.unlabelled))[1]
        return folder if folder.is_dir() or not (root / self.scored).is_dir() else root / self.scored

    def _other_in(self, root: Path) -> tuple[Path, Path] | None:
        usual = (root / self.labelled).is_dir() and (root / self.scored).is_dir()
        return None if usual else self.other_splits(root)

    @property
    def labels(self) -> str:
        """The folders of a labelled split, for sentences: `images/, masks/`."""
        return ", ".join(f"{folder}/" for folder in self.folders)


@dataclass(frozen=True)
class Strata:
    """Kinds of images whose scores are shown apart, such as hands with a straight and with a bent wrist."""

    name: str
    """What the kinds differ in, in the singular: "wrist". Folds can be divided by it."""
    names: tuple[str, ...]
    measure: Callable[[Sample], float]
    """A labelled sample → the number that its stratum follows from, such as an angle, from its label alone; nan if it
    cannot be told."""
    of_measure: Callable[[float], str | None]
    """Such a number → its stratum; None for nan."""
    measured: str
    """What the size of the number is, as a column of a table: "|angle|"."""
    unit: str
    """Its unit, to be written after it: "°"."""
    of_runs: Callable[[Sequence[Runs], Size], str | None]
    """The true runs of all classes and the size of an image → its stratum, None if it cannot be told."""
    noun: str
    """What the images show, in the plural: "hands"."""
    test_shares: Mapping[str, float]
    """The share of each stratum among the images that are scored in the end, in 0..1; empty if it is not known."""
    weighted: str
    """The stratum whose images are drawn `data.bent_weight` times as often as others."""


@dataclass(frozen=True)
class Output:
    """The file or folder that a prediction is written to."""

    default_name: str
    """Its name in the run's folder: "submission.csv"."""
    open: OpenWriter
    """The output, the samples to come, the origin of their masks (one line: what all of them depend on) and how many
    are predicted at a time → a writer, to be used in a `with`."""
    read: Callable[[Path], Predictions]
    """A finished output → its masks as runs. Raises `UserError` for a file or folder that holds none."""
    pictures: Pictures | None = None
    """The finished pictures that it may consist of instead; None if no pictures are written."""
    each_alone: bool = False
    """Whether the prediction of an image is of use without the others. Images that cannot be read are then left out and
    named at the end, and the writers are `LeavingWriter`; otherwise one of them refuses all."""
    is_folder: bool = False
    """Whether it is a folder; one that exists is written into."""
    suffixes_of_one: tuple[str, ...] = ()
    """If it is a folder, the suffixes by which a path is a file that holds one prediction; the first is that of files
    in the folder."""
    read_image: Callable[[Path], Image] | None = field(default=None, compare=False)
    """Reads images as the task does, and keeps what its writer needs of them; None: the task's own. A method of what
    keeps them, so it is left out when outputs are compared."""
    alpha_of: Callable[[Path, str], Image] | None = None
    """A finished output and the name of an image → its alpha uint8[H, W]; None if an output holds hard masks only."""

    @property
    def suffix(self) -> str:
        """The suffix of files in the folder, empty if they are not known."""
        return next(iter(self.suffixes_of_one), "")

    def is_one_file(self, path: Path) -> bool:
        """Whether a path names one file in the place of a folder of them."""
        return path.suffix.lower() in self.suffixes_of_one


@dataclass(frozen=True)
class Pictures:
    """Finished pictures that an output may consist of, as they are configured under `predict`."""

    kinds: Mapping[str, Callable[..., Any]]
    """Builders by the names that `predict.picture` takes; their keyword-only arguments are its keys."""
    formats: Mapping[str, Callable[..., Any]]
    """The same of `predict.format`."""
    configure: Callable[[Any, Any, bool], Output]
    """A built kind and a built format (None: as without the key), and whether soft edges have the objects' own colours
    → the output. Raises `UserError` if they do not fit together."""


@dataclass(frozen=True)
class TaskMetric:
    """A metric with the functions that compute it, each float64 per class."""

    metric: Metric
    of_masks: Callable[[StoredMask, StoredMask, int], Floats]
    """A predicted and a true mask in the task's encoding and the number of classes → float64[C]."""
    of_runs: Callable[[Runs, Runs], float]
    """The predicted and the true runs of one class → the same for it, without making pixels."""


@dataclass(frozen=True)
class Detail:
    """A further number that finished soft predictions are described by."""

    label: str
    of_alpha: Callable[[Floats, Floats], float | Floats | None]
    """A predicted and a true alpha float64[H, W] in 0..1 → a number, or a curve float64[T] over thresholds; None if it
    says nothing about this image."""
    reduce: Callable[[Floats], float] = float
    """The mean over images, a number or a curve → the number that is shown, such as the highest of a curve."""
    digits: int = 4
    column: str = ""
    """Its heading in tables of many networks; empty if these do without it, as without curves and slow numbers."""


@dataclass(frozen=True)
class ScoringProtocol:
    """Another way to score predictions, such as that of a published table, which is shown beside the right one.

    Masks are compared at the network's input size, and nothing of `predict` counts.
    """

    transform: Mapping[str, Any]
    """The keys of `transform` in a config that it sets."""
    numbers: tuple[str, ...]
    """The metric and the details that it computes."""
    said: str
    """What it does otherwise, in a sentence or two."""


@dataclass(frozen=True)
class Typical:
    """The size of a usual data set, for estimates before there is one."""

    size_hw: Size
    train_images: int
    valid_images: int


def no_description(_runs_of_classes: Sequence[Runs], _size_hw: Size) -> str:
    """Say nothing about an image."""
    return ""


@dataclass(frozen=True)
class Task:
    """What one kind of segmentation says about its data; a new kind is a new value in `data.tasks.TASKS`."""

    name: str
    classes: tuple[str, ...]
    layout: Layout
    read_image: Callable[[Path], Image]
    image_size: Callable[[Path], Size]
    """The size that `read_image` would return, without decoding."""
    read_mask: Callable[[Sample, Size], StoredMask]
    """A labelled sample and its image's size → its mask at that size, stored as `encoding` says."""
    check: Callable[[Sample], str | None]
    """Raises `UserError` for a sample that cannot be read or, if labelled, trained on; much quicker than reading it.

    Returns what is doubtful about it, in a few words for the log; None if nothing is."""
    output: Output
    groups: Mapping[str, tuple[str, ...]]
    """Families of classes that reports show; every class in exactly one."""
    metrics: tuple[TaskMetric, ...]
    """What predictions are judged by, the one that decides first."""
    typical: Typical
    details: Mapping[str, Detail] = field(default_factory=dict)
    """Further numbers by the name that files give them, which `evaluate.py --details` computes."""
    protocols: Mapping[str, ScoringProtocol] = field(default_factory=dict)
    """Other ways to score, by name, which `python -m trainer.checkpoints --protocol NAME` takes."""
    strata: Strata | None = None
    checks: Checks = field(default_factory=Checks)
    """What a data check looks for beside what holds for any task."""
    describe: Callable[[Sequence[Runs], Size], str] = no_description
    """The runs of all classes and the size of an image → a few words for captions: "thumb at the left, bent wrist"."""
    channels: int = 1
    """Of an image: 1, grey uint8[H, W], or 3, RGB uint8[H, W, 3]."""
    encoding: Encoding = BITS
    """How masks are stored between reading and the loss."""
    render: Callable[[Path, int, int], Path] | None = None
    """A folder that does not exist yet, a number of images and their side in pixels → about so many labelled images,
    rendered in the folder; returns their split folder. None if the task renders none."""
    colours: tuple[str, ...] = ()
    """The colour of each class as `#rrggbb`, those that are empty or missing are chosen: see `class_colours`."""
    of_classes: Callable[[tuple[ClassEntry, ...]], Task] | None = None
    """The classes that a config lists → the task with them. Such a task has no classes of its own; None if it has."""
    own_classes: tuple[ClassEntry, ...] = ()
    """The classes that it was made with by `of_classes`."""
    refine: str = "plain"
    """The preset of `data.refine` by which masks that are written are refined, if a config names none."""
    limits: tuple[str, ...] = ()
    """What its networks must not be used for, whole sentences for model cards."""

    def read(self, sample: Sample) -> tuple[Image, StoredMask]:
        """Read the image, grey or RGB, and the mask uint8[H, W, K] of a labelled sample, both at native size."""
        image = self.read_image(sample.image)
        return image, self.read_mask(sample, (image.shape[0], image.shape[1]))

    def caption(self, sample: Sample | None, runs_of_classes: Sequence[Runs], size_hw: Size) -> str:
        """Say in a few words what an image shows: "ID007, thumb at the left, bent wrist"."""
        group = sample.group if sample and sample.group != sample.name else ""
        return ", ".join(filter(None, (group, self.describe(runs_of_classes, size_hw))))

    @property
    def class_colours(self) -> list[Colour]:
        """The colour of each class in drawings."""
        chosen = class_colours(len(self.classes))
        own = self.colours or ("",) * len(chosen)
        return [from_hex(text) if text else colour for text, colour in zip(own, chosen, strict=True)]

    def grouped_by(self, pattern: str | None) -> Task:
        """Return the task whose groups follow from images' names, as `Layout.grouped_by` does."""
        return replace(self, layout=self.layout.grouped_by(pattern))

    @property
    def metric(self) -> Metric:
        """The metric that decides which network is the best."""
        return self.metrics[0].metric

    def score(self, mask: StoredMask, truth: StoredMask) -> Floats:
        """Score a mask against the truth by the deciding metric, float64[C]; both at native size in the encoding."""
        return self.metrics[0].of_masks(mask, truth, len(self.classes))

    def stratum_of_label(self, sample: Sample) -> str | None:
        """Return the stratum of a labelled sample, from its label alone; None if it cannot be told."""
        return None if self.strata is None else self.strata.of_measure(self.strata.measure(sample))

    def stratum_of(self, runs_of_classes: Sequence[Runs], size_hw: Size) -> str | None:
        """Return the stratum of an image from the true runs of all classes; None if it cannot be told."""
        return None if self.strata is None else self.strata.of_runs(runs_of_classes, size_hw)

    @property
    def stratum_names(self) -> tuple[str, ...]:
        """The names of the strata, none if the task knows none."""
        return () if self.strata is None else self.strata.names

    @property
    def test_shares(self) -> Mapping[str, float]:
        """The share of each stratum among the images that are scored in the end, in 0..1; empty if it is not known."""
        return {} if self.strata is None else self.strata.test_shares
