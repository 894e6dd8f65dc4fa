"""Write this host's Kakao access token to a sheet for the other hosts: `python -m services.sheet_kakao_key_update`.

It writes when the token has changed. A loop checks every ten minutes whether the row still exists, and sends nothing
between that. Only the access token is written, encrypted with KAKAO_SHEET_KEY (`--new-key` makes one).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from services.channel import NotDelivered
from services.env_file import change_env
from services.kakao.sheet import HEADER, SHEET_KEY, SharedToken, TokenSheet, add_sheet_options, new_key, token_sheet_of
from services.kakao.tokens import ACCESS, AccessToken, Tokens, write_time
from services.kakao.turns import TurnResult, parser_of, run_turns
from services.secrets import VERSION, Secrets, fingerprint
from services.sheets.account import Rejected
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

CHECK_EVERY_S = 600.0
"""Time between two checks of the row, which somebody may have emptied."""


def main() -> None:
    arguments = parse()
    log_to_console()
    if arguments.new_key:
        sys.stdout.write(f"{SHEET_KEY}={new_key()}\n")
        return
    secrets = Secrets(arguments.env_file)
    updater = Updater(secrets, token_sheet_of(arguments, secrets, readonly=False))
    run_turns("sheet_kakao_key_update", arguments, updater.turn)


class Updater:
    """Writes one row. A loop knows what it has written; a single turn reads the row."""

    def __init__(self, secrets: Secrets, token_sheet: TokenSheet, now: Callable[[], float] = time.time) -> None:
        self.secrets, self.token_sheet, self.now = secrets, token_sheet, now
        self.tokens = Tokens(secrets)
        self.written: tuple[str, str] | None = None
        """The key and the token of the row, as last seen."""
        self.checked_s = 0.0

    def turn(self) -> TurnResult:
        """Write the token if it is new. Raises `NotDelivered`, `Refused` and `UserError`."""
        token, key = self._token(), self.token_sheet.key
        same = TurnResult(False, f"Kakao access token {fingerprint(token.value)} is in the sheet")
        if self.written == (key, token.value) and 0 <= self.now() - self.checked_s < CHECK_EVERY_S:
            return same
        version = self._write_if_new(token)
        self.written, self.checked_s = (key, token.value), self.now()
        if version is None:
            return same
        return TurnResult(True, f"Kakao access token {fingerprint(token.value)} handed over as version {version}")

    def _write_if_new(self, token: AccessToken) -> int | None:
        """Write the row unless it exists already; returns its version, or None if nothing was written."""
        sheet = self.token_sheet
        try:
            good, _ = sheet.read()
        except Rejected:
            sheet.sheets.add_tab(sheet.spreadsheet, sheet.tab, HEADER)
            good = []
        if good and good[0].token == token.value:
            return None
        # The time as version is newer even if the row was deleted. If the clock was set back, the last version plus 1
        # is; it is also in the `.env`.
        text = self.secrets.newest(VERSION) or ""
        known = [int(text) if text.isdecimal() else 0, *(each.version for each in good[:1])]
        version = max(int(self.now()), *(each + 1 for each in known))
        change_env(self.secrets.env_file, {VERSION: str(version)})
        sheet.write(SharedToken(token.value, token.expires_at_s, self.now(), version))
        return version

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


def parse() -> argparse.Namespace:
    description = "Hand this host's Kakao access token to the other hosts, sealed, through a Google sheet."
    parser = parser_of("sheet_kakao_key_update", description, interval_s=30)
    new_key_help = f"print a new {SHEET_KEY} for the .env of every host, and end"
    parser.add_argument("--new-key", action="store_true", help=new_key_help)
    add_sheet_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
