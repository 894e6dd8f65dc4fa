"""Sends files to a repository of the Hugging Face Hub in one commit; its errors end in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from services.http import describe_answer
from services.secrets import Secrets
from utils.errors import UserError
from utils.redact import redact

TOKEN = "HF_TOKEN"
LONGEST_ANSWER = 200
REFUSALS = {
    401: f"the Hub does not accept the token (401). Make one with the right to write, and put it into {TOKEN}",
    403: f"the token may not write there (403). Give it that right on the Hub, put it into {TOKEN}, or name a "
    "repository of yours",
    404: "the Hub does not find it (404), or the token may not see it. Correct its name, or the token",
    409: "the Hub was changing it at that moment (409). Give the same command again",
    413: "the files are larger than the Hub takes (413)",
}
"""Sentences by the status of an answer."""


def refuse_missing_library() -> None:
    """Raise `UserError` if huggingface_hub is not installed."""
    if find_spec("huggingface_hub") is None:
        raise UserError("the package huggingface_hub is not installed. Say: make setup.")


def refuse_name(repo: str) -> None:
    """Raise `UserError` for a text that is no name of a repository, `name/model`."""
    refuse_missing_library()
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
        valid = all(repo.partition("/"))
    except HFValidationError:
        valid = False
    if not valid:
        raise UserError(
            f"--repo {repo}: expected your name on the Hub and that of a model, such as kim/hands: letters, digits and "
            "- _ . alone."
        )


def token_of(secrets: Secrets) -> str:
    """Return the token for the Hub: from the environment, `.env`, or a login by its own program.

    Raises `UserError` if there is none.
    """
    secrets.export()
    from huggingface_hub import get_token

    token = secrets.get(TOKEN) or get_token()
    if not token:
        raise UserError(f"{TOKEN} is not set. Put it into .env (see .env.example), or say: hf auth login.")
    return token


def send(
    repo: str, files: Mapping[str, bytes], title: str, token: str, *, private: bool, endpoint: str | None = None
) -> str:
    """Send files by name in one commit to a repository, which is made if there is none; return its address.

    Nothing is sent to a repository that everybody can read if `private` is asked for. `endpoint`: the address
    of another Hub. Raises `UserError` if the Hub does not take them.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(endpoint=endpoint, token=token, library_name="carpus")
    with translated_errors(repo):
        address = str(api.create_repo(repo, private=private or None, exist_ok=True))
        if private and not api.model_info(repo).private:
            raise UserError(
                f"--repo {repo}: exists, and everybody can read it, so nothing was sent. Make it private in its "
                "settings on the Hub, name another one, or leave out --private."
            )
        added = [CommitOperationAdd(name, content) for name, content in files.items()]
        api.create_commit(repo, added, commit_message=title)
    return address


@contextmanager
def translated_errors(repo: str) -> Iterator[None]:
    """Raise `UserError` with one sentence in the place of every error of the Hub's library."""
    try:
        yield
    except UserError:
        raise
    except Exception as wrapped:  # those of HTTP, of the Hub and of its storage have nothing in common
        error = cause_of(wrapped)
        answered = status_of(error) is not None or isinstance(error, ValueError)
        after = "No commit was made." if answered else "If files were on their way, look there whether they arrived."
        raise UserError(f"--repo {repo}: {reason_of(error)}. {after}") from error


def cause_of(error: BaseException) -> BaseException:
    """Return the error that the library has wrapped: that of an upload is the cause of a `RuntimeError`."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def status_of(error: BaseException) -> int | None:
    """Return the status of the Hub's answer; None if there was none."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return None if status is None else int(status)


def reason_of(error: BaseException) -> str:
    """Return what an error of the Hub's library means, without the dot at the end."""
    status = status_of(error)
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE forbids the network here. Unset it"
    if status is None:
        words = f": {_said(error)}" if isinstance(error, ValueError) else ""
        return f"the Hub was not reached or made no sense ({type(error).__name__}{words})"
    if status in REFUSALS:
        return REFUSALS[status]
    said = _said(getattr(error, "server_message", None) or "")
    return f"the Hub {describe_answer(status)}" + (f". It said: {said}" if said else "")


def _said(words: object) -> str:
    """Return a library's or a server's words as a part of a sentence: one line, no secret, not too long."""
    return redact(" ".join(str(words).split()))[:LONGEST_ANSWER].rstrip(".")
