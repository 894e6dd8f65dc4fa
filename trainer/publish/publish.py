"""Publishes a run on the Hugging Face Hub, or says what would be sent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from services.secrets import Secrets
from trainer.publish.bundle import bundle_of
from trainer.publish.hub import TOKEN, send, token_of
from trainer.records.folder import RunFolder
from utils.text import pluralize

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What the command line asks for, by the names of its options."""

    run: Path
    repo: str
    private: bool = False
    dry_run: bool = False


def publish(request: Request, *, secrets: Secrets | None = None, endpoint: str | None = None) -> None:
    """Send a run's weights, card, config and scores; with `dry_run` only say what would be sent.

    `endpoint`: the address of another Hub. Raises `UserError` if something must not be sent, or the Hub refuses it.
    """
    secrets = secrets or Secrets()
    # It reads `.env`, whose secrets the files are searched for.
    secrets.get(TOKEN)
    token = None if request.dry_run else token_of(secrets)
    folder = RunFolder(request.run)
    if not folder.finished.exists():
        log.warning("%s: this run has not come to its end; its best weights so far are taken", request.run)
    bundle = bundle_of(folder, request.repo)
    for sentence in bundle.removed:
        log.info("%s", sentence)
    for name, content in bundle.files.items():
        log.info("%15s bytes  %s", f"{len(content):,}", name)
    total = f"{pluralize(len(bundle.files), 'file')}, {sum(map(len, bundle.files.values())):,} bytes"
    if token is None:
        log.info("dry run: %s would be sent to %s, and nothing was", total, request.repo)
        return
    title = f"Publish {request.run.absolute().name}"
    address = send(request.repo, bundle.files, title, token, private=request.private, endpoint=endpoint)
    log.info("sent %s: %s", total, address)
