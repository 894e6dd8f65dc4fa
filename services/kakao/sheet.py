"""The access token in a sheet: one row that is encrypted with `KAKAO_SHEET_KEY`.

Token, times and version are encrypted together, so that neither a number changed by hand nor an old row pasted back is
accepted as new. The other cells show the same values to people. The refresh token, the REST API key and the client
secret are never written to the sheet.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from services.kakao.tokens import read_time, write_time
from services.secrets import Secrets, fingerprint
from services.sheets.account import BASE_URL
from services.sheets.client import Sheets, in_tab, open_sheet, spreadsheet_id_of
from utils.errors import UserError
from utils.redact import add_secrets

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SHEET_KEY, SHEET_ID = "KAKAO_SHEET_KEY", "KAKAO_SHEET_ID"
TAB = "kakao"
HEADER = ("token", "expires_at", "updated_at", "version", "sha256")
CELLS, HEADER_CELLS, ROW_CELLS = "A2:E20", "A1:E1", "A2:E2"
NEW_KEY = "python -m services.sheet_kakao_key_update --new-key"


class ForeignRow(Exception):
    """A row was not encrypted with this key, or was changed since; the message says which, in a few words."""


@dataclass(frozen=True)
class SharedToken:
    """A token that the host that renews it shares with all others."""

    token: str
    expires_at_s: float
    updated_at_s: float
    version: int
    """Larger for every newer token."""


class TokenSheet:
    """The tab of a spreadsheet that holds the row. It connects at the first request.

    Its methods raise as those of `Sheets`, and `UserError` if the key is not set or invalid.
    """

    def __init__(
        self, secrets: Secrets, spreadsheet: str, *, tab: str = TAB, base_url: str = BASE_URL, readonly: bool
    ) -> None:
        self.secrets, self.spreadsheet, self.tab = secrets, spreadsheet, tab
        self.base_url, self.readonly = base_url, readonly

    @cached_property
    def sheets(self) -> Sheets:
        return open_sheet(self.secrets, base_url=self.base_url, readonly=self.readonly)

    @property
    def key(self) -> str:
        """The key that all hosts share."""
        key = self.secrets.get(SHEET_KEY)
        if key is None:
            raise UserError(f"{SHEET_KEY} is not set. Make one key for all hosts: {NEW_KEY}")
        return key

    def read(self) -> tuple[list[SharedToken], list[str]]:
        """Read the rows in one request; returns what `tokens_in` finds."""
        key = self.key
        return tokens_in(self.sheets.read(self.spreadsheet, [in_tab(self.tab, CELLS)])[0], key)

    def write(self, token: SharedToken) -> None:
        """Write the header and the row."""
        row = seal(token, self.key)
        cells = {in_tab(self.tab, HEADER_CELLS): [list(HEADER)], in_tab(self.tab, ROW_CELLS): [row]}
        self.sheets.write(self.spreadsheet, cells)


def add_sheet_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the spreadsheet and its tab."""
    parser.add_argument(
        "--sheet", metavar="ID|ADDRESS", help=f"the spreadsheet, one of its own for this (default: {SHEET_ID})"
    )
    parser.add_argument("--tab", default=TAB, help="default: %(default)s")
    parser.add_argument("--base-url", default=BASE_URL, metavar="URL", help="default: %(default)s")


def token_sheet_of(arguments: argparse.Namespace, secrets: Secrets, *, readonly: bool) -> TokenSheet:
    """The sheet that the options name. Raises `UserError` if they name none."""
    named = arguments.sheet or secrets.get(SHEET_ID)
    if not named:
        raise UserError(f"--sheet: name the spreadsheet by its ID or address, or set {SHEET_ID}.")
    spreadsheet = spreadsheet_id_of(named)
    if spreadsheet is None:
        raise UserError(f"--sheet {named}: is neither a spreadsheet's address nor its ID. Copy the browser's address.")
    return TokenSheet(secrets, spreadsheet, tab=arguments.tab, base_url=arguments.base_url, readonly=readonly)


def seal(handed: SharedToken, key: str) -> list[str]:
    """Encrypt a token; returns the cells of its row. Raises `UserError` if the key is invalid."""
    shown = [write_time(handed.expires_at_s), write_time(handed.updated_at_s), str(handed.version)]
    sealed = _fernet(key).encrypt(json.dumps([handed.token, *shown]).encode()).decode()
    return [sealed, *shown, fingerprint(handed.token)]


def unseal(row: Sequence[str], key: str) -> SharedToken:
    """Decrypt the cells of a row. Raises `ForeignRow`, and `UserError` if the key is invalid."""
    from cryptography.fernet import InvalidToken

    fernet = _fernet(key)
    try:
        token, *shown = json.loads(fernet.decrypt(row[0].encode()))
        expires_at_s, updated_at_s, version = read_time(shown[0]), read_time(shown[1]), int(shown[2])
    except InvalidToken:
        raise ForeignRow(f"cannot be opened with {SHEET_KEY}") from None
    except (ValueError, TypeError, IndexError):
        raise ForeignRow("holds something else") from None
    if list(row[1:]) != [*shown, fingerprint(token)]:
        raise ForeignRow("was changed by hand")
    if expires_at_s is None or updated_at_s is None:
        raise ForeignRow("holds something else")
    add_secrets([token])
    return SharedToken(token, expires_at_s, updated_at_s, version)


def tokens_in(rows: Sequence[Sequence[str]], key: str) -> tuple[list[SharedToken], list[str]]:
    """The tokens of the valid rows, newest first, and the reasons why the other rows are invalid."""
    good, bad = [], []
    for number, row in enumerate(rows, start=2):
        try:
            if any(row):
                good.append(unseal(row, key))
        except ForeignRow as error:
            bad.append(f"row {number} {error}")
    return sorted(good, key=lambda each: each.version, reverse=True), bad


def new_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _fernet(key: str) -> Fernet:
    from cryptography.fernet import Fernet

    try:
        return Fernet(key)
    except ValueError:
        raise UserError(
            f"{SHEET_KEY}: is no key, which is 44 characters of base64. Make one: {NEW_KEY}, and give it to every host."
        ) from None
