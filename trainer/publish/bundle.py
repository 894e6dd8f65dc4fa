"""What is published of a run: the contents of each file, cleaned and searched, before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from configs.loading.load import as_dict, as_yaml, load_as
from configs.schema import Config
from runtime.model.metadata import metadata_from
from trainer.provenance import checked
from trainer.publish.card import WEIGHTS, card_of_run
from trainer.publish.cleaning import Cleaning, as_json, fault_in, folders_of, names_of
from trainer.publish.scores import Scores, scores_of
from trainer.records import tables
from trainer.records.checkpoint import Weights, load_weights, save_weights
from trainer.records.folder import RunFolder
from trainer.trained import load_trained
from utils.errors import UserError
from utils.files import paths_in
from utils.text import forms_of

CARD, CONFIG, SCORES = "README.md", "config.yaml", "scores.json"


@dataclass(frozen=True)
class Bundle:
    """The files that are sent, by name, and what was removed from them."""

    files: Mapping[str, bytes]
    removed: list[str]
    """A sentence for each kind of what was removed from a file."""


def bundle_of(folder: RunFolder, repo: str) -> Bundle:
    """Return what is sent of a run. Raises `UserError` if a file is damaged, or holds what must not be sent."""
    config, weights = load_as(Config, folder.config), load_weights(folder.best_weights)
    scores = scores_of(folder, config.chosen_task)
    cleaning = Cleaning(WEIGHTS)
    weights = cleaned_weights(weights, cleaning)
    files, texts = {WEIGHTS: content_of(weights, folder)}, {WEIGHTS: as_json(described(weights))}
    removed = cleaning.removed
    for path in paths_in(folder.path, "*.onnx"):
        files[path.name], texts[path.name], more = cleaned_onnx(path)
        removed += more
    texts |= plain_texts(repo, config, weights, scores, list(files), removed)
    refuse_private(folder, config, texts, files)
    files |= {name: text.encode() for name, text in texts.items() if name not in files}
    return Bundle(files, removed)


def plain_texts(
    repo: str, config: Config, weights: Weights, scores: Scores | None, others: list[str], removed: list[str]
) -> dict[str, str]:
    """Return the files of text by name; what is removed from the config is added to `removed`."""
    cleaning = Cleaning(CONFIG)
    values = cleaning.config(as_dict(config))
    removed += cleaning.removed
    texts = {CONFIG: as_yaml(values)}
    if scores is not None:
        texts[SCORES] = as_json(scores.as_plain())
    card = card_of_run(repo, config, weights, checked(weights.provenance), scores, [*others, *texts])
    return {CARD: card, **texts}


def cleaned_weights(weights: Weights, cleaning: Cleaning) -> Weights:
    """Return weights whose description holds nothing of this machine."""
    provenance = None if weights.provenance is None else cleaning.value(weights.provenance, "provenance")
    return replace(weights, config=cleaning.config(weights.config), provenance=provenance)


def content_of(weights: Weights, folder: RunFolder) -> bytes:
    """Return the file of cleaned weights, after a network was built from it as its users will.

    Raises `UserError` if that fails.
    """
    with TemporaryDirectory(prefix="carpus-") as place:
        path = Path(place) / WEIGHTS
        save_weights(path, weights)
        try:
            load_trained(path, torch.device("cpu"))
        except UserError as error:
            raise UserError(f"{folder.best_weights}: cannot be used elsewhere, so nothing was sent. {error}") from error
        return path.read_bytes()


def described(weights: Weights) -> dict[str, Any]:
    """Return all that a weights file says in words."""
    return {"classes": weights.classes, "config": weights.config, "provenance": weights.provenance}


def cleaned_onnx(path: Path) -> tuple[bytes, str, list[str]]:
    """Return an ONNX file with a clean description, that description, and what was removed from it.

    Raises `UserError` for a file that Carpus has not written.
    """
    import onnx

    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
        properties = {entry.key: entry.value for entry in model.metadata_props}
        about = metadata_from(properties)
    except Exception as error:  # damaged bytes raise errors of protocol buffers, which are no package of ours
        raise UserError(f"{path}: is damaged ({type(error).__name__}). Export it again, or move it away.") from error
    if about is None:
        raise UserError(f"{path}: was not written by export.py, so nobody knows what it holds. Move it away.")
    cleaning = Cleaning(path.name)
    values = {name: json.loads(value) for name, value in properties.items() if name != "format"}
    clean = cleaning.value(values)
    if cleaning.keys:
        del model.metadata_props[:]
        for name, value in {**properties, **{key: json.dumps(clean[key], ensure_ascii=False) for key in clean}}.items():
            model.metadata_props.add(key=name, value=value)
        content = model.SerializeToString()
    return content, as_json(clean), cleaning.removed


def refuse_private(folder: RunFolder, config: Config, texts: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    """Raise `UserError` if something is left in a file that must not be sent; `files` are those that are no text."""
    names, folders = private_names(folder, config), folders_of(folder.path, config.data.root)
    for name, text in texts.items():
        fault = fault_in(text, names, folders)
        if fault is not None:
            raise UserError(f"{name}: holds {fault}, so nothing was sent. {WAYS_OUT[name in files]}")
    for name, content in files.items():
        # Names of nodes begin with a slash too: `/body/Conv`.
        deep = (each for each in folders if each.count("/") > 1)
        found = next((each for each in deep if any(f"{form}/".encode() in content for form in forms_of(each))), None)
        if found is not None:
            raise UserError(f"{name}: holds the path {found} of this machine, so nothing was sent. Export it again.")


WAYS_OUT = {
    True: "It comes from the run's config or sources.json (data.licence, data.attribution, data.made_by, run.name): "
    "train with other words, or publish another run.",
    False: "Change that in the run's config.yaml, or publish another run.",
}


def private_names(folder: RunFolder, config: Config) -> list[str]:
    """Return the names of images and groups that the run knows."""
    images: Collection[str] = ()
    groups: Collection[str] = ()
    if folder.validation.is_file():
        table = tables.scores(folder.path)
        images, groups = table["image"].unique().tolist(), table["group"].dropna().astype(str).unique().tolist()
    return names_of(images, groups, config.data.exclude, config.chosen_task.classes)
