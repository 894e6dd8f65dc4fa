"""Publish a run on the Hugging Face Hub: `python -m trainer.publish RUN --repo NAME/MODEL [--dry-run] [--private]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.publish.hub import refuse_name
from trainer.records.folder import RunFolder, refuse_links
from trainer.records.weights_files import weights_of
from utils.errors import UserError
from utils.program import run_program, start_computing


def main() -> None:
    arguments = parse()
    # Before torch is loaded.
    refuse_name(arguments.repo)
    weights_of(arguments.run)
    if not RunFolder(arguments.run).config.is_file():
        raise UserError(f"{arguments.run}: is no run's folder. Name a folder that train.py has made.")
    refuse_links(arguments.run)
    start_computing()
    from trainer.publish.publish import Request, publish

    publish(Request(**vars(arguments)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.publish",
        description="Send the best weights of a run, its ONNX files, a model card, its config and its scores to the "
        "Hugging Face Hub. Paths of this machine, secrets and names of images are removed first. Token: HF_TOKEN, from "
        "the environment or .env.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--repo", required=True, metavar="NAME/MODEL", help="your name on the Hub, and the model's")
    parser.add_argument("--dry-run", action="store_true", help="send nothing, and list what would be sent")
    parser.add_argument("--private", action="store_true", help="in a repository that only you can read")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
