from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from services import sheet_kakao_key_update, sheet_pull_kakao_key
from services.channel import NotDelivered, Refused
from services.env_file import change_env
from services.kakao.sheet import ForeignRow, SharedToken, TokenSheet, new_key, seal, tokens_in, unseal
from services.kakao.tokens import write_time
from services.secrets import Secrets, read_env
from services.sheet_kakao_key_update import Updater
from services.sheet_pull_kakao_key import Puller
from tests.services.kakao.runs import write_tokens
from tests.services.kakao.standin import HOUR_S, KakaoStandIn
from tests.services.sheets.standin import BOOK, SheetsStandIn
from tests.standin import Answer, Fault
from utils.errors import UserError

KEY = new_key()
NOW = 1_800_000_000.0


class Hosts:
    """The host that renews, and any number that pull; one clock for all."""

    def __init__(self, google: SheetsStandIn, folder: Path) -> None:
        self.google, self.folder, self.now_s, self.count = google, folder, NOW, 0
        self.key_file = google.write_key(folder / "key.json")

    def env(self, name: str) -> Path:
        path = self.folder / name / ".env"
        change_env(path, {"GOOGLE_APPLICATION_CREDENTIALS": str(self.key_file), "KAKAO_SHEET_KEY": KEY})
        return path

    def token_sheet(self, env: Path, *, readonly: bool) -> TokenSheet:
        return TokenSheet(Secrets(env, {}), BOOK, base_url=self.google.url, readonly=readonly)

    def renew(self, env: Path) -> str:
        self.count += 1
        token = f"access-{self.count}"
        change_env(
            env,
            {"KAKAO_ACCESS_TOKEN": token, "KAKAO_ACCESS_TOKEN_EXPIRES_AT": write_time(self.now_s + 6 * HOUR_S)}
            | {"KAKAO_REFRESH_TOKEN": "the-refresh-token", "KAKAO_REST_API_KEY": "the-rest-key"},
        )
        return token

    def hand_over(self) -> tuple[Path, Path, str]:
        """Renew the main host's token and write it to the sheet; returns its `.env`, another host's, and the token."""
        main, other = self.env("main"), self.env("other")
        token = self.renew(main)
        assert self.updater(main).turn().changed
        return main, other, token

    def updater(self, env: Path) -> Updater:
        return Updater(Secrets(env, {}), self.token_sheet(env, readonly=False), lambda: self.now_s)

    def puller(self, env: Path) -> Puller:
        return Puller(Secrets(env, {}), self.token_sheet(env, readonly=True), lambda: self.now_s)

    def rows(self) -> list[list[str]]:
        token_sheet = self.token_sheet(self.folder / "main" / ".env", readonly=True)
        return token_sheet.sheets.read(BOOK, ["'kakao'!A1:E9"])[0]

    def counted(self, kind: str) -> int:
        return sum(each == kind for _, each in self.google.counted)


@pytest.fixture
def hosts(google: SheetsStandIn, tmp_path: Path) -> Hosts:
    return Hosts(google, tmp_path)


def handed(token: str = "token-1", *, version: int = 1, left_s: float = HOUR_S) -> SharedToken:
    return SharedToken(token, NOW + left_s, NOW, version)


# The row


def test_a_row_is_read_back_by_who_holds_the_key_alone() -> None:
    row = seal(handed(), KEY)
    assert unseal(row, KEY) == handed()
    assert "token-1" not in "".join(row)
    assert [len(row), row[3], len(row[4])] == [5, "1", 8]
    with pytest.raises(ForeignRow, match="cannot be opened"):
        unseal(row, new_key())


@pytest.mark.parametrize("cell", range(5))
def test_a_row_of_which_a_cell_was_changed_is_not_believed(cell: int) -> None:
    row, other = seal(handed(), KEY), seal(handed("token-2", version=2, left_s=2 * HOUR_S), KEY)
    row[cell] = other[cell] if cell != 2 else write_time(NOW + 60)
    with pytest.raises(ForeignRow, match="changed by hand"):
        unseal(row, KEY)


def test_of_several_rows_the_newest_comes_first_and_the_rest_is_named() -> None:
    rows = [seal(handed("a", version=3), KEY), [], ["x", "", "", "9"], seal(handed("b", version=4), KEY), ["", ""]]
    good, bad = tokens_in(rows, KEY)
    assert [each.token for each in good] == ["b", "a"]
    assert bad == ["row 4 cannot be opened with KAKAO_SHEET_KEY"]


@pytest.mark.parametrize("key", ["", "short", "ä" * 44, "!" * 44])
def test_a_key_that_is_none_is_named_with_the_way_out(key: str) -> None:
    with pytest.raises(UserError, match=r"KAKAO_SHEET_KEY: is no key.*--new-key"):
        seal(handed(), key)


# From host to host


def test_a_token_goes_from_host_to_host(hosts: Hosts, google: SheetsStandIn) -> None:
    main, other = hosts.env("main"), hosts.env("other")
    token = hosts.renew(main)
    other.write_text(other.read_text() + "# mine\nSLACK_BOT_TOKEN=xoxb-1\n")
    before = other.read_text()
    assert hosts.updater(main).turn().changed
    assert hosts.puller(other).turn().changed
    assert read_env(other) | {"KAKAO_ACCESS_TOKEN": token} == read_env(other)
    assert other.read_text().startswith(before)
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
    assert read_env(other)["KAKAO_ACCESS_TOKEN_EXPIRES_AT"] == write_time(NOW + 6 * HOUR_S)
    assert {"KAKAO_REFRESH_TOKEN", "KAKAO_REST_API_KEY"}.isdisjoint(read_env(other))


def test_only_the_sealed_access_token_is_in_the_sheet(hosts: Hosts, google: SheetsStandIn) -> None:
    _, _, token = hosts.hand_over()
    sent = b"".join(request.body for request in google.requests).decode()
    assert not any(secret in sent for secret in (token, "the-refresh-token", "the-rest-key", KEY))
    rows = hosts.rows()
    assert rows[0] == ["token", "expires_at", "updated_at", "version", "sha256"]
    assert rows[1][1:4] == [write_time(NOW + 6 * HOUR_S), write_time(NOW), str(int(NOW))]


def test_a_writer_with_nothing_new_asks_nobody_for_ten_minutes(hosts: Hosts, google: SheetsStandIn) -> None:
    main = hosts.env("main")
    hosts.renew(main)
    updater = hosts.updater(main)
    updater.turn()
    reads, writes = hosts.counted("read"), hosts.counted("write")
    for _ in range(19):
        hosts.now_s += 30
        assert not updater.turn().changed
    assert (hosts.counted("read"), hosts.counted("write")) == (reads, writes)
    hosts.now_s += 31
    assert not updater.turn().changed
    assert (hosts.counted("read"), hosts.counted("write")) == (reads + 1, writes)


def test_a_row_that_somebody_emptied_is_written_again_with_a_higher_version(hosts: Hosts) -> None:
    main, other, _ = hosts.hand_over()
    hosts.puller(other).turn()
    version = read_env(other)["KAKAO_ACCESS_TOKEN_VERSION"]
    hosts.token_sheet(main, readonly=False).sheets.write(BOOK, {"'kakao'!A2:E2": [[""] * 5]})
    hosts.now_s -= HOUR_S  # and the clock was set back
    assert hosts.updater(main).turn().changed
    assert int(hosts.rows()[1][3]) > int(version)


def test_versions_grow_even_where_the_clock_goes_back(hosts: Hosts) -> None:
    main, other = hosts.env("main"), hosts.env("other")
    versions = []
    for step in (0.0, -3600.0, 7200.0):
        hosts.now_s += step
        hosts.renew(main)
        hosts.updater(main).turn()
        versions.append(int(hosts.rows()[1][3]))
    assert versions == sorted(set(versions))
    assert hosts.puller(other).turn().changed
    assert read_env(other)["KAKAO_ACCESS_TOKEN"] == "access-3"


def test_a_pull_is_one_read_and_writes_only_what_is_newer(hosts: Hosts, google: SheetsStandIn) -> None:
    main, other, _ = hosts.hand_over()
    puller = hosts.puller(other)
    puller.turn()
    inode, reads = other.stat().st_ino, hosts.counted("read")
    for _ in range(3):
        assert not puller.turn().changed
    assert (other.stat().st_ino, hosts.counted("read")) == (inode, reads + 3)
    hosts.now_s += 3 * HOUR_S
    token = hosts.renew(main)
    hosts.updater(main).turn()
    assert puller.turn().changed
    assert read_env(other)["KAKAO_ACCESS_TOKEN"] == token


def test_an_older_token_never_replaces_a_newer_one(hosts: Hosts) -> None:
    main, _, _ = hosts.hand_over()
    hosts.now_s += 3 * HOUR_S
    token = hosts.renew(main)
    assert not hosts.puller(main).turn().changed, "the host that renews may pull as well"
    assert read_env(main)["KAKAO_ACCESS_TOKEN"] == token


def test_the_version_decides_where_an_older_token_lives_longer(hosts: Hosts) -> None:
    main, other, _ = hosts.hand_over()
    hosts.puller(other).turn()
    before, sheets = other.read_bytes(), hosts.token_sheet(main, readonly=False).sheets
    sheets.write(BOOK, {"'kakao'!A2:E2": [seal(handed("older", version=int(NOW) - 1, left_s=9 * HOUR_S), KEY)]})
    assert not hosts.puller(other).turn().changed
    sheets.write(BOOK, {"'kakao'!A3:E3": [seal(handed("newer", version=int(NOW) + 1, left_s=8 * HOUR_S), KEY)]})
    assert hosts.puller(other).turn().changed
    assert (before != other.read_bytes(), read_env(other)["KAKAO_ACCESS_TOKEN"]) == (True, "newer")


def test_an_old_row_that_is_pasted_back_is_not_taken(hosts: Hosts) -> None:
    main, other, _ = hosts.hand_over()
    old = hosts.rows()[1]
    hosts.now_s += 60
    token = hosts.renew(main)
    hosts.updater(main).turn()
    hosts.puller(other).turn()
    write = hosts.token_sheet(main, readonly=False).sheets.write
    write(BOOK, {"'kakao'!A2:E2": [old]})
    assert not hosts.puller(other).turn().changed
    write(BOOK, {"'kakao'!A2:E2": [[*old[:3], "1900000000", old[4]]]})
    with pytest.raises(NotDelivered, match="row 2 was changed by hand"):
        hosts.puller(other).turn()
    assert read_env(other)["KAKAO_ACCESS_TOKEN"] == token


def test_a_token_that_ran_out_is_neither_written_nor_pulled(hosts: Hosts) -> None:
    main, other, _ = hosts.hand_over()
    hosts.now_s += 7 * HOUR_S
    with pytest.raises(NotDelivered, match="the newest ran out at"):
        hosts.puller(other).turn()
    with pytest.raises(NotDelivered, match="refresh_kakao_token renews it"):
        hosts.updater(main).turn()
    assert "KAKAO_ACCESS_TOKEN" not in read_env(other)


def test_a_host_with_another_key_is_told(hosts: Hosts) -> None:
    _, other, _ = hosts.hand_over()
    change_env(other, {"KAKAO_SHEET_KEY": new_key()})
    with pytest.raises(NotDelivered, match="cannot be opened with KAKAO_SHEET_KEY"):
        hosts.puller(other).turn()


def test_a_new_key_makes_a_new_row(hosts: Hosts) -> None:
    main, other, _ = hosts.hand_over()
    key = new_key()
    for env in (main, other):
        change_env(env, {"KAKAO_SHEET_KEY": key})
    assert hosts.updater(main).turn().changed
    assert hosts.puller(other).turn().changed


def test_a_sheet_that_is_down_changes_nothing(hosts: Hosts, google: SheetsStandIn) -> None:
    _, other, _ = hosts.hand_over()
    before = other.read_bytes()
    google.always = Fault("answer", Answer(503, {"error": {"code": 503, "message": "down", "status": "UNAVAILABLE"}}))
    for turn in (hosts.puller(other).turn, hosts.updater(hosts.env("third")).turn):
        with pytest.raises((NotDelivered, UserError)):
            turn()
    assert other.read_bytes() == before
    google.always = None
    assert hosts.puller(other).turn().changed


def test_a_sheet_without_the_tab_is_told_to_who_pulls(hosts: Hosts) -> None:
    with pytest.raises(Refused, match="kakao"):
        hosts.puller(hosts.env("other")).turn()


def test_twenty_servers_pull_twice_a_minute_within_the_quota(hosts: Hosts, google: SheetsStandIn) -> None:
    main, _, _ = hosts.hand_over()
    clock = [NOW]
    google.now = lambda: clock[0]
    google.counted.clear()
    google.spent.clear()
    shared = hosts.token_sheet(main, readonly=True).sheets  # one account, however many sign in with it
    pullers = [hosts.puller(hosts.env(f"host{number}")) for number in range(20)]
    for puller in pullers:
        puller.token_sheet.sheets = shared
    for second in range(0, 120, 30):
        clock[0] = NOW + second
        for puller in pullers:
            puller.turn()
    assert (google.busiest("read"), google.refused_for_quota) == (40, 0)


# The programs


def run_program(monkeypatch: pytest.MonkeyPatch, module: object, *arguments: object) -> None:
    monkeypatch.setattr(module, "log_to_console", lambda: None)
    monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
    module.main()  # type: ignore[attr-defined]


def test_the_two_programs_hand_a_token_over(
    hosts: Hosts, google: SheetsStandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main, other = hosts.env("main"), hosts.env("other")
    with KakaoStandIn() as kakao:
        write_tokens(main, kakao)
        token_sheet = ("--sheet", f"https://docs.google.com/spreadsheets/d/{BOOK}/edit", "--base-url", google.url)
        run_program(monkeypatch, sheet_kakao_key_update, *token_sheet, "--env-file", main)
        change_env(other, {"KAKAO_SHEET_ID": BOOK})
        run_program(monkeypatch, sheet_pull_kakao_key, "--base-url", google.url, "--env-file", other)
        assert read_env(other)["KAKAO_ACCESS_TOKEN"] in kakao.access
    run_program(monkeypatch, sheet_kakao_key_update, "--new-key")
    name, _, key = capsys.readouterr().out.strip().partition("=")
    assert name == "KAKAO_SHEET_KEY"
    assert unseal(seal(handed(), key), key) == handed()


def test_without_the_key_or_the_token_the_way_out_is_named(hosts: Hosts) -> None:
    env = hosts.env("main")
    with pytest.raises(UserError, match=r"KAKAO_ACCESS_TOKEN is not set.*login"):
        hosts.updater(env).turn()
    change_env(env, {"KAKAO_ACCESS_TOKEN": "by-hand"})
    with pytest.raises(UserError, match=r"KAKAO_ACCESS_TOKEN_EXPIRES_AT is not set.*refresh_kakao_token"):
        hosts.updater(env).turn()
    change_env(env, {"KAKAO_SHEET_KEY": ""})
    with pytest.raises(UserError, match=r"KAKAO_SHEET_KEY is not set.*--new-key"):
        hosts.puller(env).turn()
