"""What a network was made from: the sources of its images and its starting weights, with their licences.

It is written into `sources.json` of a run's folder and into its weights files, and the report shows it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from configs.blocks.images import ExtraRoot
from configs.schema import Config
from data.sample import Sample
from models.pretrained.about import facts_of
from models.weights import facts_of_name
from trainer.build import PRETRAINED_KEYS
from trainer.records.checkpoint import provenance_in
from trainer.records.folder import RunFolder
from utils.files import expand, write_text
from utils.text import list_names

log = logging.getLogger(__name__)

Provenance: TypeAlias = Mapping[str, list[dict[str, Any]]]
"""`data`: the sources of images; `start`: the weights that training began with. Each is a list of blocks of values."""


def write_provenance(
    folder: RunFolder, config: Config, train: Sequence[Sample], weights: Sequence[float] | None
) -> None:
    """Write `sources.json`, and name in the log the sources of which no licence is given.

    `weights` is how often each of the samples `train` is drawn, None if all are alike. A run that is resumed keeps what
    it knows of its start: the file of those weights may have gone since.
    """
    start = read_provenance(folder).get("start") or starts_of(config)
    found = {"data": sources_of(config, train, weights), "start": start}
    unknown = [entry["name"] for entry in (*found["data"], *start) if not entry.get("licence") and is_used(entry)]
    if unknown:
        log.info("no licence is given of %s; weights and report say so (data.licence)", list_names(unknown))
    write_text(folder.sources, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def read_provenance(folder: RunFolder) -> Provenance:
    """Read `sources.json`; nothing if there is none, as in runs of earlier versions, or it is damaged."""
    try:
        return checked(json.loads(folder.sources.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def checked(found: Any) -> Provenance:
    """Return what is a list of blocks in a value from a file."""
    parts = found.items() if isinstance(found, dict) else ()
    return {
        str(part): [dict(entry) for entry in entries if isinstance(entry, dict)]
        for part, entries in parts
        if isinstance(entries, list)
    }


def joined(several: Iterable[Provenance]) -> Provenance:
    """Return every entry of several networks once, for one that is made from all of them."""
    found: dict[str, list[dict[str, Any]]] = {"data": [], "start": []}
    for one in several:
        for part, entries in found.items():
            entries += [entry for entry in one.get(part, []) if entry not in entries]
    return found


def is_used(entry: Mapping[str, Any]) -> bool:
    """Whether a source is trained on, and not only listed."""
    return entry.get("reason") is None


def sources_of(config: Config, train: Sequence[Sample], weights: Sequence[float] | None) -> list[dict[str, Any]]:
    """Return all sources of a config with their images, and their share of an epoch's draws in 0..1."""
    drawn = [1.0] * len(train) if weights is None else weights
    total = sum(drawn) or 1.0
    of_root = ExtraRoot(root=config.data.root, licence=config.data.licence, attribution=config.data.attribution)
    found = []
    for number, source in enumerate([of_root, *config.data.extra_roots]):
        entry: dict[str, Any] = {"name": str(source.root), **source.model_dump(include={"licence", "attribution"})}
        if source.enabled:
            own = [weight for sample, weight in zip(train, drawn, strict=True) if sample.source == number]
            entry |= {"images": len(own), "weight": source.weight, "share": round(sum(own) / total, 4)}
        else:
            entry["reason"] = source.reason
        found.append(entry)
    return found


def starts_of(config: Config) -> list[dict[str, Any]]:
    """Return the weights of others that a network starts or trains with, and what those were made from in turn."""
    params = config.model.as_dict()
    return [entry for key in PRETRAINED_KEYS if params.get(key) for entry in _start(str(params[key]))]


def _start(weights: str) -> list[dict[str, Any]]:
    """Return the entries of one file, or of weights that a library knows by name."""
    path = Path(expand(weights))
    if not path.is_file():
        return [{"name": weights, **facts_of_name(weights)}]
    before = checked(provenance_in(path))
    of_images = [
        {"name": f"{entry.get('name')}, images of {weights}", **{k: entry.get(k) for k in ("licence", "attribution")}}
        for entry in before.get("data", [])
        if is_used(entry)
    ]
    return [{"name": weights, **facts_of(path)}, *of_images, *before.get("start", [])]
