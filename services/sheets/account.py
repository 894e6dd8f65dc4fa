"""The service account with which programs sign in to Google Sheets: where it is, and what its key file must hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.channel import Refused
from services.secrets import Secrets, refuse_shared
from utils.errors import UserError

BASE_URL = "https://sheets.googleapis.com"
KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
ANOTHER_KEY = "Download a key of type JSON for the service account anew (docs/services/sheets.md)."


class Rejected(Refused):
    """Google answered 400: there is no such tab, a range lies outside it, or a cell is protected."""


def key_file(secrets: Secrets) -> Path:
    """The path of the service account's key. Raises `Refused` if it is not set."""
    named = secrets.get(KEY_FILE)
    if named is None:
        raise Refused(f"{KEY_FILE} is not set. Set it to the path of the service account's key file (JSON).")
    return Path(named).expanduser()


def read_key(path: Path) -> dict[str, Any]:
    """The fields of the key. Raises `Refused` if the file is missing, readable by other users, or not such a key."""
    try:
        refuse_shared(path, path.stat().st_mode)
        info = json.loads(path.read_text(encoding="utf-8"))
    except UserError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        raise Refused(f"{path} ({KEY_FILE}): cannot be read ({error.strerror}). Name the key file's path.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(f"{path} ({KEY_FILE}): is not JSON. {ANOTHER_KEY}") from error
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise Refused(f"{path} ({KEY_FILE}): is no service account's key. {ANOTHER_KEY}")
    if lacking := [part for part in ("client_email", "private_key", "token_uri") if not info.get(part)]:
        raise Refused(f"{path} ({KEY_FILE}): lacks {' and '.join(lacking)}. {ANOTHER_KEY}")
    return info
