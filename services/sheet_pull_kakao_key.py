"""Take over the Kakao access token that another host renews: `python -m services.sheet_pull_kakao_key [--loop]`.

One request per turn. It changes KAKAO_ACCESS_TOKEN, its ..._EXPIRES_AT and its ..._VERSION in the `.env` and nothing
else there, and only for a token that is newer and not out of date.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.channel import NotDelivered
from services.env_file import env_lock, write_env
from services.kakao.sheet import CELLS, NEW_KEY, SHEET_KEY, Handed, handed_over
from services.kakao.tokens import ACCESS, EXPIRES_AT, fingerprint, read_time, write_time
from services.kakao.turns import Outcome, add_options, run_turns
from services.secrets import Secrets
from services.sheets.client import BASE_URL, Sheets, in_tab, open_sheet, spreadsheet_id_of
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

SHEET_ID, VERSION = "KAKAO_SHEET_ID", f"{ACCESS}_VERSION"
TAB = "kakao"


def main() -> None:
    arguments = parse()
    log_to_console()
    secrets = Secrets(arguments.env_file)
    puller = Puller(secrets, place_of(arguments, secrets, readonly=True))
    run_turns("sheet_pull_kakao_key", arguments, puller.turn)


@dataclass(frozen=True)
class Place:
    """Where the row lies, and how it is reached."""

    spreadsheet: str
    tab: str
    sheets: Callable[[], Sheets]

    @property
    def name(self) -> str:
        return f"{self.spreadsheet} {self.tab}"


class Puller:
    """Reads the row, and writes the `.env` when there is something newer."""

    def __init__(self, secrets: Secrets, place: Place, now: Callable[[], float] = time.time) -> None:
        self.secrets, self.place, self.now = secrets, place, now

    def turn(self) -> Outcome:
        """Take over the newest token. Raises `NotDelivered`, `Refused` and `UserError`."""
        key = needed_key(self.secrets)
        cells = in_tab(self.place.tab, CELLS)
        rows = self.place.sheets().read(self.place.spreadsheet, [cells])[0]
        good, bad = handed_over(rows, key)
        found = next((each for each in good if each.expires_at_s > self.now()), None)
        if found is None:
            raise NotDelivered(f"{cells} holds no token that will do: {self._why(good, bad)}")
        with env_lock(self.secrets.env_file):
            if not self._is_newer(found):
                return Outcome(
                    False, f"Kakao access token is the newest, version {found.version} of the sheet is known"
                )
            write_env(self.secrets.env_file, _values(found))
        until = write_time(found.expires_at_s)
        return Outcome(True, f"Kakao access token {fingerprint(found.token)} taken over, good until {until}")

    def _is_newer(self, found: Handed) -> bool:
        """Than what lies here, which this host may have renewed itself."""
        expires_at_s = read_time(self.secrets.newest(EXPIRES_AT))
        version = self.secrets.newest(VERSION) or ""
        if self.secrets.newest(ACCESS) is None or expires_at_s is None:
            return True
        return found.expires_at_s > expires_at_s and found.version > (int(version) if version.isdecimal() else 0)

    def _why(self, good: list[Handed], bad: list[str]) -> str:
        if good:
            return f"the newest ran out at {write_time(good[0].expires_at_s)}"
        return "; ".join(bad) or "nothing is there (python -m services.sheet_kakao_key_update writes it)"


def needed_key(secrets: Secrets) -> str:
    """The key that all hosts share. Raises `UserError` where it is not set."""
    key = secrets.get(SHEET_KEY)
    if key is None:
        raise UserError(f"{SHEET_KEY} is not set. Make one key for all hosts: {NEW_KEY}")
    return key


def add_sheet_options(parser: argparse.ArgumentParser) -> None:
    """The options that say where the row lies."""
    parser.add_argument(
        "--sheet", metavar="ID|ADDRESS", help=f"the spreadsheet, one of its own for this (default: {SHEET_ID})"
    )
    parser.add_argument("--tab", default=TAB, help="default: %(default)s")
    parser.add_argument("--base-url", default=BASE_URL, metavar="URL", help="default: %(default)s")


def place_of(arguments: argparse.Namespace, secrets: Secrets, *, readonly: bool) -> Place:
    """The place that the options name. Raises `UserError` where none does."""
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

    return Place(spreadsheet, arguments.tab, sheets)


def _values(found: Handed) -> dict[str, str]:
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
