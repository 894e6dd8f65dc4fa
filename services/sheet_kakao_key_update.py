"""Hand this host's Kakao access token to the others through a sheet: `python -m services.sheet_kakao_key_update`.

It writes when the token has changed, and looks every ten minutes whether the row is still there; in between it asks
nobody. Only the access token leaves this host, sealed with KAKAO_SHEET_KEY (`--new-key` makes one).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from services.channel import NotDelivered
from services.kakao.sheet import CELLS, HEADER, HEADER_CELLS, ROW_CELLS, SHEET_KEY, Handed, handed_over, new_key, seal
from services.kakao.state import shared
from services.kakao.tokens import ACCESS, AccessToken, Tokens, fingerprint, write_time
from services.kakao.turns import Outcome, add_options, run_turns
from services.secrets import Secrets
from services.sheet_pull_kakao_key import Place, add_sheet_options, needed_key, place_of
from services.sheets.client import Rejected, Sheets, in_tab
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

LOOK_EVERY_S = 600.0
"""Somebody may have emptied the row."""
STATE = "kakao_sheet"


def main() -> None:
    arguments = parse()
    log_to_console()
    if arguments.new_key:
        sys.stdout.write(f"{SHEET_KEY}={new_key()}\n")
        return
    secrets = Secrets(arguments.env_file)
    updater = Updater(secrets, place_of(arguments, secrets, readonly=False))
    run_turns("sheet_kakao_key_update", arguments, updater.turn)


class Updater:
    """Writes one row. What it wrote last is remembered for all turns on this host."""

    def __init__(self, secrets: Secrets, place: Place, now: Callable[[], float] = time.time) -> None:
        self.secrets, self.place, self.now = secrets, place, now
        self.tokens = Tokens(secrets)

    def turn(self) -> Outcome:
        """Write the token if it is new. Raises `NotDelivered`, `Refused` and `UserError`."""
        token, key = self._token(), needed_key(self.secrets)
        same = Outcome(False, f"Kakao access token {fingerprint(token.value)} is in the sheet")
        stamp = sha256(f"{self.place.name} {key} {token.value}".encode()).hexdigest()
        last = self._remembered()
        if last.get("stamp") == stamp and 0 <= self.now() - last.get("looked_at_s", 0.0) < LOOK_EVERY_S:
            return same
        known = int(last.get("version", 0))
        version = self._bring(token, key, known)
        self._remember({"stamp": stamp, "looked_at_s": self.now(), "version": version or known})
        if version is None:
            return same
        return Outcome(True, f"Kakao access token {fingerprint(token.value)} handed over as version {version}")

    def _bring(self, token: AccessToken, key: str, known: int) -> int | None:
        """Write the row; its version, None where it is there already."""
        sheets = self.place.sheets()
        good, _ = handed_over(self._rows(sheets), key)
        if good and good[0].token == token.value:
            return None
        # The time, so that a version is newer even where sheet and memory were lost; one more, where the clock was.
        version = max(int(self.now()), known + 1, *(each.version + 1 for each in good[:1]))
        row = seal(Handed(token.value, token.expires_at_s, self.now(), version), key)
        tab = self.place.tab
        sheets.write(self.place.spreadsheet, {in_tab(tab, HEADER_CELLS): [list(HEADER)], in_tab(tab, ROW_CELLS): [row]})
        return version

    def _rows(self, sheets: Sheets) -> list[list[str]]:
        try:
            return sheets.read(self.place.spreadsheet, [in_tab(self.place.tab, CELLS)])[0]
        except Rejected:
            sheets.add_tab(self.place.spreadsheet, self.place.tab, HEADER)
            return []

    def _token(self) -> AccessToken:
        token = self.tokens.access_token
        if token is None:
            raise UserError(f"{ACCESS} is not set. Log in once: python -m services.kakao login")
        if token.expires_at_s <= self.now():
            raise NotDelivered(
                f"the Kakao access token ran out at {write_time(token.expires_at_s)} "
                "(python -m services.refresh_kakao_token renews it)"
            )
        if token.expires_at_s == float("inf"):
            raise UserError(f"{ACCESS}_EXPIRES_AT is not set. Run once: python -m services.refresh_kakao_token")
        return token

    def _remembered(self) -> dict[str, Any]:
        with suppress(UserError), shared(STATE) as state:
            found = state.get(self.place.name)
            return found if isinstance(found, dict) else {}
        return {}

    def _remember(self, values: dict[str, Any]) -> None:
        with suppress(UserError), shared(STATE) as state:  # without it the sheet is looked at in every turn
            state[self.place.name] = values


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services.sheet_kakao_key_update",
        description="Hand this host's Kakao access token to the other hosts, sealed, through a Google sheet.",
    )
    parser.add_argument(
        "--new-key", action="store_true", help=f"print a new {SHEET_KEY} for the .env of every host, and end"
    )
    add_sheet_options(parser)
    add_options(parser, interval_s=30)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
