"""Read the Kakao access token that another host renews: `python -m services.sheet_pull_kakao_key [--loop]`.

One request per turn. It changes KAKAO_ACCESS_TOKEN, its ..._EXPIRES_AT and its ..._VERSION in the `.env` and nothing
else there, and only if the token in the sheet is newer and has not expired.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.channel import NotDelivered
from services.env_file import env_lock, write_env
from services.kakao.sheet import CELLS, NEW_KEY, SHEET_KEY, SharedToken, tokens_in
from services.kakao.tokens import ACCESS, fingerprint, read_time, write_time
from services.kakao.turns import TurnResult, add_options, run_turns
from services.secrets import EXPIRES_AT, VERSION, Secrets
from services.sheets.account import BASE_URL
from services.sheets.client import Sheets, in_tab, open_sheet, spreadsheet_id_of
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

SHEET_ID = "KAKAO_SHEET_ID"
TAB = "kakao"


def main() -> None:
    arguments = parse()
    log_to_console()
    secrets = Secrets(arguments.env_file)
    puller = Puller(secrets, token_sheet_of(arguments, secrets, readonly=True))
    run_turns("sheet_pull_kakao_key", arguments, puller.turn)


@dataclass(frozen=True)
class TokenSheet:
    """The tab of a spreadsheet that holds the row, and a function that connects to it."""

    spreadsheet: str
    tab: str
    sheets: Callable[[], Sheets]

    @property
    def name(self) -> str:
        return f"{self.spreadsheet} {self.tab}"


class Puller:
    """Reads the row, and writes the `.env` if the row's token is newer."""

    def __init__(self, secrets: Secrets, token_sheet: TokenSheet, now: Callable[[], float] = time.time) -> None:
        self.secrets, self.token_sheet, self.now = secrets, token_sheet, now

    def turn(self) -> TurnResult:
        """Write the newest token to the `.env`. Raises `NotDelivered`, `Refused` and `UserError`."""
        key = needed_key(self.secrets)
        cells = in_tab(self.token_sheet.tab, CELLS)
        rows = self.token_sheet.sheets().read(self.token_sheet.spreadsheet, [cells])[0]
        good, bad = tokens_in(rows, key)
        found = next((each for each in good if each.expires_at_s > self.now()), None)
        if found is None:
            raise NotDelivered(f"{cells} holds no token that will do: {self._why(good, bad)}")
        with env_lock(self.secrets.env_file):
            if not self._is_newer(found):
                return TurnResult(
                    False, f"Kakao access token is the newest, version {found.version} of the sheet is known"
                )
            write_env(self.secrets.env_file, _values(found))
        until = write_time(found.expires_at_s)
        return TurnResult(True, f"Kakao access token {fingerprint(found.token)} taken over, good until {until}")

    def _is_newer(self, found: SharedToken) -> bool:
        """Whether a token is newer than the one in the `.env`, which this host may have renewed itself."""
        expires_at_s = read_time(self.secrets.newest(EXPIRES_AT))
        version = self.secrets.newest(VERSION) or ""
        if self.secrets.newest(ACCESS) is None or expires_at_s is None:
            return True
        return found.expires_at_s > expires_at_s and found.version > (int(version) if version.isdecimal() else 0)

    def _why(self, good: list[SharedToken], bad: list[str]) -> str:
        if good:
            return f"the newest ran out at {write_time(good[0].expires_at_s)}"
        return "; ".join(bad) or "nothing is there (python -m services.sheet_kakao_key_update writes it)"


def needed_key(secrets: Secrets) -> str:
    """The key that all hosts share. Raises `UserError` if it is not set."""
    key = secrets.get(SHEET_KEY)
    if key is None:
        raise UserError(f"{SHEET_KEY} is not set. Make one key for all hosts: {NEW_KEY}")
    return key


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
    opened: list[Sheets] = []

    def sheets() -> Sheets:
        if not opened:
            opened.append(open_sheet(secrets, base_url=arguments.base_url, readonly=readonly))
        return opened[0]

    return TokenSheet(spreadsheet, arguments.tab, sheets)


def _values(found: SharedToken) -> dict[str, str]:
    return {ACCESS: found.token, EXPIRES_AT: write_time(found.expires_at_s), VERSION: str(found.version)}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.sheet_pull_kakao_key",
        description="Take over the Kakao access token that another host renews, from a Google sheet.",
    )
    add_sheet_options(parser)
    add_options(parser, interval_s=30)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
