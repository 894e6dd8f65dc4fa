"""The model card of a run, in Markdown with the front matter of the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from configs.schema import Config
from data.task import Task
from trainer.export.card import source_tables, table, unknown_licence
from trainer.export.description import NOT_GIVEN, attributions_of, licence_of
from trainer.provenance import Provenance, is_used
from trainer.publish.scores import Scores
from trainer.records.checkpoint import Weights

WEIGHTS = "best.safetensors"
PIPELINE = "image-segmentation"
HUB_LICENCES = frozenset(
    (
        *("apache-2.0", "mit", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "isc", "zlib", "unlicense", "wtfpl"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
        *("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "epl-2.0", "eupl-1.1", "eupl-1.2"),
        *("odc-by", "odbl", "pddl", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0"),
    )
)
"""Licences of images and weights that the Hub knows, by its names; any other is `other` there."""


def card_of_run(
    repo: str, config: Config, weights: Weights, sources: Provenance, scores: Scores | None, files: Sequence[str]
) -> str:
    """Return the card `README.md` of a run that is published as `repo`; `files`: what lies beside the card."""
    task = config.chosen_task
    parts = [
        f"---\n{front_matter(repo, task, sources, scores)}\n---",
        f"# {repo.partition('/')[2]}",
        _summary(config, task, weights, sources),
        "## Use",
        *_use(repo, files),
        "## Scores",
        *_scores(task, scores),
        "## Made from",
        *source_tables(sources),
        "## Limits",
        _limits(task, sources),
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(repo: str, task: Task, sources: Provenance, scores: Scores | None) -> str:
    """Return the YAML by which the Hub finds and shows a model."""
    from huggingface_hub import EvalResult, ModelCardData

    results = None
    if scores is not None:
        results = [
            EvalResult(
                task_type=PIPELINE,
                dataset_type=task.name,
                dataset_name=f"{scores.images} images that were held out",
                metric_type=scores.metric,
                metric_value=round(scores.mean, 4),
            )
        ]
    licence, name = hub_licence(sources)
    about = ModelCardData(
        license=licence,
        license_name=name,
        library_name="carpus",
        tags=["carpus", "segmentation", task.name],
        pipeline_tag=PIPELINE,
        metrics=[task.metric.name],
        model_name=repo.partition("/")[2],
        eval_results=results,
    )
    return about.to_yaml(line_break="\n").strip()


def hub_licence(sources: Provenance) -> tuple[str | None, str | None]:
    """Return the licence as the Hub calls it, and a name if it is `other` there.

    Both are None if a licence is not given for all that the network was made from.
    """
    used = {entry.get("licence") for entries in sources.values() for entry in entries if is_used(entry)}
    if not used or not all(used):
        return None, None
    name = "-".join(str(next(iter(used))).lower().split())
    return (name, None) if len(used) == 1 and name in HUB_LICENCES else ("other", "see-made-from")


def _summary(config: Config, task: Task, weights: Weights, sources: Provenance) -> str:
    model = config.model.as_dict()
    numbers = sum(tensor.numel() for tensor in weights.tensors.values())
    trained = f"{weights.step} optimizer steps" if weights.step is not None else f"epoch {weights.epoch + 1}"
    colours = "RGB" if task.channels == 3 else "grey"
    rows = {
        "task": task.name,
        "network": " ".join(str(model[key]) for key in ("name", "encoder") if model.get(key)),
        "size": f"{numbers:,} numbers",
        "run": f"{config.title}, best weights, after {trained}",
        "images": f"{colours}, {config.transform.size_px} px inside the network",
        f"classes ({len(task.classes)})": ", ".join(task.classes),
        "licence": licence_of(sources) or NOT_GIVEN,
        "attribution": "; ".join(attributions_of(sources)) or NOT_GIVEN,
    }
    return table(("", ""), list(rows.items()))


def _use(repo: str, files: Sequence[str]) -> list[str]:
    folder = repo.partition("/")[2]
    commands = [f"hf download {repo} --local-dir {folder}"]
    commands.append(f"python inference.py --run {folder}/{WEIGHTS} --images DIR --output PATH")
    commands += [
        f"python inference.py --model {folder}/{name} --images DIR --output PATH   # without torch"
        for name in files
        if name.endswith(".onnx")
    ]
    library = (
        "import carpus\nfrom huggingface_hub import hf_hub_download\n\n"
        f'model = carpus.load(hf_hub_download("{repo}", "{WEIGHTS}"))'
    )
    return [
        "With Carpus, from its folder:",
        "```\n{}\n```".format("\n".join(commands)),
        f"```python\n{library}\n```",
        f"`{WEIGHTS}` needs no other file: classes, network and the way from pixels to masks are in its metadata.",
    ]


def _scores(task: Task, scores: Scores | None) -> list[str]:
    if scores is None:
        return ["The run has scored no images."]
    label = task.metric.label
    parts = [f"Mean {label} of the {scores.images} images that the run held out: {scores.mean:.4f}."]
    for heading, means in (("group", scores.per_group), ("class", scores.per_class), ("images", scores.per_stratum)):
        if len(means) > 1:
            parts.append(table((heading, label), [(name, f"{value:.4f}") for name, value in means.items()]))
    return parts


def _limits(task: Task, sources: Mapping[str, list[dict[str, Any]]]) -> str:
    limits = [
        *task.limits,
        "The scores are of images from the same sources as those that it learnt from. Of images that look otherwise "
        "nothing is known: try it on some of yours.",
        "The best of several networks was chosen by these scores, so they are a little too high.",
        *unknown_licence(licence_of(sources)),
    ]
    return "\n".join(f"- {limit}" for limit in limits)
