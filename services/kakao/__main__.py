"""Commands of KakaoTalk: `python -m services.kakao login` gets the first tokens, `… friends` lists possible receivers.

The channel itself is `services.kakao`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from services.channel import NotDelivered, Refused
from services.kakao.api import API_URL, Friend, KakaoApi
from services.kakao.renewal import AUTH_URL, authorize_url, consent_url
from services.kakao.tokens import KEY, WAYS_OUT, Tokens, write_time
from services.secrets import ENV_FILE, Secrets, fingerprint
from utils.errors import UserError
from utils.log import log_to_console
from utils.program import run_program

REDIRECT_URI = "https://localhost"


def main() -> None:
    arguments = parse()
    log_to_console()
    try:
        sys.stdout.write(COMMANDS[arguments.command](arguments))
    except (NotDelivered, Refused) as error:
        raise UserError(f"{error}".rstrip(".") + ".") from error


def login(arguments: argparse.Namespace) -> str:
    """Without a code, return the address that issues one. With a code, write the tokens to the `.env`; a friend's
    tokens are not stored."""
    secrets = Secrets(arguments.env_file)
    if arguments.code is None:
        return _first_step(secrets, arguments)
    tokens = Tokens(secrets, arguments.auth_url)
    if arguments.friend:
        tokens.link(_code_in(arguments.code), arguments.redirect_uri)
        return "Your friend is linked to the app; nothing of theirs was kept. Now: python -m services.kakao friends\n"
    found = tokens.first(_code_in(arguments.code), arguments.redirect_uri)
    return (
        f"Logged in. {tokens.env_file} holds the tokens; the access token {fingerprint(found.value)} is good until "
        f"{write_time(found.expires_at_s)}.\nNow put python -m services.refresh_kakao_token into cron "
        "(docs/services/kakao.md).\n"
    )


def friends(arguments: argparse.Namespace) -> str:
    """A table of the friends, and the lines for the configuration."""
    tokens = Tokens(Secrets(arguments.env_file), arguments.auth_url)
    api = KakaoApi(arguments.api_url, consent_url(arguments.auth_url))
    found = tokens.call(lambda token: list(api.friends(token)))
    if not found:
        return (
            "No friends. Each must be a member of the app's team, be linked to the app by a login (login --friend), "
            "have agreed to the friends list, and be your friend in KakaoTalk (docs/services/kakao.md).\n"
        )
    return (
        _table(found)
        + "\nIn the configuration, under services.kakao:\n  friends:\n"
        + "".join(f"    - {each.uuid}  # {each.nickname}\n" for each in found)
    )


COMMANDS: dict[str, Callable[[argparse.Namespace], str]] = {"login": login, "friends": friends}


def _first_step(secrets: Secrets, arguments: argparse.Namespace) -> str:
    key = secrets.get(KEY)
    if key is None:
        raise UserError(f"{KEY} is not set, neither in the environment nor in {secrets.env_file}. {WAYS_OUT[KEY]}")
    return (
        f"1. Open this address and agree (it holds the app's REST API key: for your team alone):\n\n"
        f"   {authorize_url(arguments.auth_url, arguments.redirect_uri, key)}\n\n"
        f"2. The browser ends at {arguments.redirect_uri}/?code=…, a page that need not exist. Copy its address and, "
        f"within minutes, say:\n\n"
        f"   python -m services.kakao login --redirect-uri {arguments.redirect_uri} --code 'ADDRESS'\n\n"
        "A friend does the same and sends you that address: login --friend --code 'ADDRESS' links them to the app.\n"
    )


def _code_in(text: str) -> str:
    """The code of a login, which may be given alone or within the address that the browser ended at."""
    query = parse_qs(urlsplit(text).query)
    if "error" in query:
        raise UserError(f"--code: the address says {query['error'][0]}: the login was not agreed to. Open it again.")
    return query.get("code", [text])[0]


def _table(found: Sequence[Friend]) -> str:
    from rich.cells import cell_len, set_cell_size  # Korean letters take two columns

    width = max(cell_len(each.nickname) for each in found)
    note = {None: "", True: "", False: "   (does not take messages)"}
    return "".join(
        f"{set_cell_size(each.nickname, width)}  {each.uuid}{note[each.allows_messages]}\n" for each in found
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.kakao", description="KakaoTalk: log in, list friends.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    first = commands.add_parser("login", help="get the first tokens, in two steps")
    first.add_argument("--code", help="the code, or the address that the browser ended at")
    first.add_argument(
        "--redirect-uri", default=REDIRECT_URI, metavar="URI", help="as registered for the app (default: %(default)s)"
    )
    first.add_argument("--friend", action="store_true", help="the code is a friend's: link them, keep no token")
    listing = commands.add_parser("friends", help="list friends with their uuids")
    listing.add_argument("--api-url", default=API_URL, metavar="URL", help="default: %(default)s")
    for command in (first, listing):
        command.add_argument("--env-file", type=Path, default=ENV_FILE, metavar="FILE", help="default: .env")
        command.add_argument("--auth-url", default=AUTH_URL, metavar="URL", help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main)
