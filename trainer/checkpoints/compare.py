"""Score the networks of a run one after the other, and show them: as tables, in the run's report, on a page."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from configs.schema import Config
from data.check.refuse import refuse_broken
from data.sample import Sample
from data.task import ScoringProtocol, Task
from trainer.checkpoints.candidates import Candidate, find_candidates
from trainer.checkpoints.scoring import Scored, score_network
from trainer.checkpoints.sheet import draw_sheet
from trainer.checkpoints.table import mean_score, summary
from trainer.drawing.checkpoints import markdown_of, page_of, print_checkpoints
from trainer.records.checkpoint import digest_of
from trainer.records.folder import RunFolder, refuse_links
from trainer.report.report import write_report
from trainer.split import find_split
from trainer.torch_errors import torch_errors_explained
from utils.errors import UserError
from utils.files import refuse_unwritable, write_text
from utils.journal import Journal
from utils.progress import Meter
from utils.text import pluralize

log = logging.getLogger(__name__)

Named = tuple[str, ScoringProtocol] | None
"""A protocol with its name; None without one."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for, by the names of its options."""

    run: Path
    images: Path | None = None
    masks: Path | None = None
    protocol: str | None = None
    markdown: Path | None = None
    json: Path | None = None
    out: Path | None = None

    @property
    def outputs(self) -> list[Path]:
        """The files to write beside those of the run."""
        return [path for path in (self.markdown, self.json, self.out) if path is not None]


def compare_checkpoints(request: Request) -> dict[str, Any]:
    """Score all networks of a run on labelled images, write and show what was found, and return it.

    A call that was interrupted goes on with the first network that is not scored. Raises `UserError` if run or images
    are missing, or something cannot be written.
    """
    folder = RunFolder(request.run)
    # Refuse everything that is wrong before a network is built.
    config, candidates = find_candidates(folder)
    task = config.chosen_task
    protocol = protocol_of(task, request.protocol)
    samples, described = labelled_samples(request, config, task)
    refuse_links(folder.path)
    refuse_unwritable([folder.checkpoint_scores, *request.outputs], [candidate.path for candidate in candidates])
    device = Accelerator(mixed_precision="no").device
    with torch_errors_explained(config, device):
        rows = score_all(folder, config, candidates, samples, protocol, device)
        found = {"data": described, **summary(task, samples, rows, protocol)}
        found["sheet"] = draw_sheet(folder, config, task, samples, candidates, rows, device)
    write_all(folder, config, found, request)
    return found


def protocol_of(task: Task, name: str | None) -> Named:
    """Return the protocol of this name. Raises `UserError` if the task has none of it."""
    if name is None:
        return None
    if name not in task.protocols:
        known = f"Valid: {', '.join(task.protocols)}" if task.protocols else "It has none, so leave the option out"
        raise UserError(f"--protocol: task '{task.name}' has no protocol '{name}'. {known}.")
    return name, task.protocols[name]


def labelled_samples(request: Request, config: Config, task: Task) -> tuple[list[Sample], str]:
    """Find the images to score on and check every one; return them, and in a few words which they are."""
    images, masks = request.images, request.masks
    if images is None:
        if masks is not None:
            raise UserError(f"--masks {masks}: needs the folder of their images. Name it with --images.")
        samples, described = list(find_split(config).valid), "the images that the run held out to choose its best by"
    elif masks is None:
        samples, described = task.layout.find_samples(images, labelled=True), f"the images of {images}"
    elif task.layout.find_pairs is None:
        raise UserError(
            f"--masks: the labels of task '{task.name}' are no masks in a folder. Leave it out, and let --images name "
            f"a split folder ({task.layout.labels})."
        )
    else:
        samples, described = task.layout.find_pairs(images, masks), f"the images of {images} with masks of {masks}"
    refuse_broken(samples, task.check, leave_out="move them out of the folder.")
    return samples, described


def score_all(
    folder: RunFolder,
    config: Config,
    candidates: Sequence[Candidate],
    samples: Sequence[Sample],
    protocol: Named,
    device: torch.device,
) -> list[Scored]:
    """Score each network; a journal beside the result keeps those that are done from a kill."""
    path = folder.checkpoint_scores.with_name(f"{folder.checkpoint_scores.name}.part")
    stamps = [candidate.stamp for candidate in candidates]
    images = len(samples) * (2 if protocol else 1)
    with Journal(path, origin_of(config, samples, protocol, device), stamps) as journal:
        rows = [Scored(**json.loads(record)) for record in journal.records()]
        if rows:
            log.info("%s: %d of %d are scored by an interrupted call, continuing", path, len(rows), len(candidates))
        meter = Meter("Scoring", len(candidates) * images, done=len(rows) * images)
        try:
            for candidate in candidates[len(rows) :]:
                row = score_one(candidate, config, samples, protocol, device, rows, meter)
                journal.append(json.dumps(row.as_plain()).encode())
                rows.append(row)
        except KeyboardInterrupt:
            log.info("%d of %d are scored; the same command continues with the next", len(rows), len(candidates))
            raise
        finally:
            meter.close()
        journal.remove()
    return rows


def score_one(
    candidate: Candidate,
    config: Config,
    samples: Sequence[Sample],
    protocol: Named,
    device: torch.device,
    before: Sequence[Scored],
    meter: Meter,
) -> Scored:
    """Score one network, and log its score; one that is the same as a network `before` has its scores."""
    trained = candidate.load(config, device)
    digest = digest_of(trained.weights.tensors, {})
    twin = next((row for row in before if row.digest == digest), None)
    if twin is not None:
        log.info("%s: the same network as %s", candidate.name, twin.same_as or twin.name)
        row = replace(twin, name=candidate.name, step=candidate.step, same_as=twin.same_as or twin.name)
        meter.expect(meter.total, done=meter.done + len(samples) * (2 if protocol else 1))
        return row
    row = score_network(candidate.name, candidate.step, trained, samples, protocol and protocol[1], meter.advance)
    log.info("%s: %s %.4f", candidate.name, trained.task.metric.label, mean_score(trained.task, row))
    return row


def origin_of(config: Config, samples: Sequence[Sample], protocol: Named, device: torch.device) -> str:
    """What all scores follow from beside the network's file, in one line: images, labels, protocol and arithmetic."""
    labels = [sample.label.stat().st_mtime_ns for sample in samples if sample.label is not None]
    said = json.dumps([config.task, [sample.stamp for sample in samples], labels, protocol and protocol[0]])
    return f"checkpoints {hashlib.sha256(said.encode()).hexdigest()} {device.type} torch-{torch.__version__}"


def write_all(folder: RunFolder, config: Config, found: Mapping[str, Any], request: Request) -> None:
    """Write the table into the run's folder and where else it was asked for, show it, and renew the report."""
    text = json.dumps(found, indent=2) + "\n"
    write_text(folder.checkpoint_scores, text)
    print_checkpoints(found)
    if request.json is not None:
        write_text(request.json, text)
    if request.markdown is not None:
        write_text(request.markdown, markdown_of(found))
    if request.out is not None:
        write_text(request.out, page_of(config.title, found, folder.pictures))
    for path in request.outputs:
        log.info("%s: written", path)
    log.info("%s: %s on %s", folder.path, pluralize(len(found["checkpoints"]), "network"), found["data"])
    log.info("open %s", write_report(folder))
