"""Score one network on given images: the task's metric and the details that tables of networks show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from configs.blocks.images import Transform
from configs.blocks.prediction import Predict
from configs.schema import Config
from data.sample import Sample
from data.task import ScoringProtocol, Task
from trainer.build import build_predictor
from trainer.evaluation.details import numbers_of
from trainer.prediction.predictor import Predictor
from trainer.records.checkpoint import digest_of
from trainer.trained import Trained
from utils.arrays import StoredMask
from utils.parallel import map_ahead

ImageScores = Mapping[str, Mapping[str, float]]
"""Of each image by name, the numbers by name."""
Judged = tuple[str, StoredMask, StoredMask]
"""An image's name, its mask and the true one, both of one size."""


@dataclass(frozen=True)
class Scored:
    """The scores of one network. `digest` is that of its tensors; `other` are the scores by another protocol."""

    name: str
    step: int | None
    epoch: int
    digest: str
    scores: ImageScores
    other: ImageScores | None = None
    same_as: str | None = None
    """The network before it, by name, that has the same tensors, and so the same scores."""

    def as_plain(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return asdict(self)


def score_network(
    name: str,
    step: int | None,
    trained: Trained,
    samples: Sequence[Sample],
    protocol: ScoringProtocol | None,
    advance: Callable[[], None],
) -> Scored:
    """Score a network on labelled samples at native size, and by `protocol` too; `advance` is called for each image."""
    task = trained.task
    scores = score_images(task, native_masks(trained.predictor.accelerated(), task, samples), advance)
    other = None
    if protocol is not None:
        predictor = by_protocol(trained, protocol)
        found = score_images(task, masks_of_input_size(predictor, task, samples), advance)
        other = {image: {key: its[key] for key in protocol.numbers} for image, its in found.items()}
    weights = trained.weights
    return Scored(name, step, weights.epoch, digest_of(weights.tensors, {}), scores, other)


def score_images(task: Task, judged: Iterator[Judged], advance: Callable[[], None]) -> dict[str, dict[str, float]]:
    """Compare masks with the true ones, beside the network that predicts the next."""

    def score(one: Judged) -> tuple[str, dict[str, float]]:
        name, mask, truth = one
        return name, numbers_of_mask(task, mask, truth)

    found = {}
    for name, numbers in map_ahead(score, judged, ahead=3):
        found[name] = numbers
        advance()
    return found


def numbers_of_mask(task: Task, mask_HWK: StoredMask, truth_HWK: StoredMask) -> dict[str, float]:
    """Compute the numbers of one mask: the mean of the metric over classes and, of soft masks, the details."""
    found = {task.metric.name: float(task.score(mask_HWK, truth_HWK).mean())}
    if task.encoding.soft:
        details = {name: detail for name, detail in task.details.items() if detail.column and name not in found}
        numbers = numbers_of(details, mask_HWK[..., 0], truth_HWK[..., 0])
        found |= {name: details[name].reduce(value) for name, value in numbers.items()}
    return found


def native_masks(predictor: Predictor, task: Task, samples: Sequence[Sample]) -> Iterator[Judged]:
    """Yield masks at the images' own size, as predictions are written."""
    for prediction in predictor.predict(samples, task.read):
        truth = prediction.loaded.truth_HWK
        assert truth is not None
        yield prediction.loaded.sample.name, predictor.decode(prediction), truth


def masks_of_input_size(predictor: Predictor, task: Task, samples: Sequence[Sample]) -> Iterator[Judged]:
    """Yield masks at the network's input size."""
    for prediction in predictor.predict(samples, task.read):
        truth = prediction.loaded.target_hwK
        assert truth is not None
        mask = predictor.decoder.of_logits(prediction.logits_Chw, (truth.shape[0], truth.shape[1]))
        yield prediction.loaded.sample.name, mask, truth


def by_protocol(trained: Trained, protocol: ScoringProtocol) -> Predictor:
    """Return what surrounds the network with the settings of a protocol."""
    transform = Transform.model_validate({**trained.config.transform.model_dump(), **protocol.transform})
    config: Config = trained.config.model_copy(update={"transform": transform, "predict": Predict(refine=())})
    predictor = trained.predictor
    own = replace(build_predictor(config, predictor.network, predictor.device), batch_size=predictor.batch_size)
    return own.accelerated()
