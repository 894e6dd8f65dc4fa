"""The adapter to Google Sheets keeps its promises: few requests, an end to every call, and words for every refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.channel import NotDelivered, Refused
from services.secrets import Secrets
from services.sheets import http as sheets_http
from services.sheets.account import Rejected
from services.sheets.client import Sheets, in_tab, letters_of, open_sheet, spreadsheet_id_of
from tests.services.sheets.standin import ACCOUNT, BOOK, SheetsStandIn, quota_answer
from tests.standin import Answer, Fault


def opened(google: SheetsStandIn, tmp_path: Path, *, readonly: bool = False) -> Sheets:
    key = google.write_key(tmp_path / "key.json")
    secrets = Secrets(tmp_path / ".env", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)})
    return open_sheet(secrets, base_url=google.url, readonly=readonly)


@pytest.fixture
def sheets(google: SheetsStandIn, tmp_path: Path) -> Iterator[Sheets]:
    """Signed in: faults that a test queues meet its own requests."""
    made = opened(google, tmp_path)
    made.read(BOOK, ["A1"])
    yield made
    made.close()


def asked(google: SheetsStandIn) -> list[str]:
    """The requests after the first read, but those for tokens."""
    return [f"{request.method} {request.path}" for request in google.requests if request.path != "/token"][1:]


def test_several_ranges_are_one_read_and_several_blocks_one_write(google: SheetsStandIn, sheets: Sheets) -> None:
    sheets.write(BOOK, {"'Sheet1'!A1:B1": [["server", "state"]], "'Sheet1'!C2": [[1.5]]})
    found = sheets.read(BOOK, ["'Sheet1'!1:1", "'Sheet1'!A:C", "'Sheet1'!D:D"])
    assert found == [[["server", "state"]], [["server", "state"], ["", "", "1.5"]], []]
    assert asked(google) == [
        f"POST /v4/spreadsheets/{BOOK}/values:batchUpdate",
        f"GET /v4/spreadsheets/{BOOK}/values:batchGet",
    ]


def test_a_text_is_never_made_a_formula_or_a_number(google: SheetsStandIn, sheets: Sheets) -> None:
    typed = ['=IMPORTXML("http://x","//a")', "+1", "-1", "@sum", "007", "1/2"]
    sheets.write(BOOK, {"'Sheet1'!A1:F1": [typed]})
    sheets.append(BOOK, "Sheet1", typed)
    grid = google.book.tab("Sheet1")
    assert [[grid.cells[row, column] for column in range(6)] for row in (0, 1)] == [typed, typed]


def test_none_leaves_a_cell_alone_and_nan_is_a_word(google: SheetsStandIn, sheets: Sheets) -> None:
    sheets.write(BOOK, {"'Sheet1'!A1:C1": [["mine", "theirs", "old"]]})
    sheets.write(BOOK, {"'Sheet1'!A1:C1": [[float("nan"), None, ""]]})
    assert google.book.tab("Sheet1").cells == {(0, 0): "nan", (0, 1): "theirs"}


def test_an_appended_row_goes_below_the_table_and_pushes_down_what_is_there(
    google: SheetsStandIn, sheets: Sheets
) -> None:
    sheets.write(BOOK, {"'Sheet1'!A1:B2": [["run", "Dice"], ["a", 0.9]], "'Sheet1'!A5": [["a note"]]})
    assert sheets.append(BOOK, "Sheet1", ["b", 0.95]) == "Sheet1!A3:B3"
    cells = google.book.tab("Sheet1").cells
    assert (cells[2, 0], cells[2, 1], cells[5, 0]) == ("b", 0.95, "a note")


def test_a_tab_appears_with_its_header_and_a_second_maker_changes_nothing(
    google: SheetsStandIn, sheets: Sheets
) -> None:
    sheets.add_tab(BOOK, "it's/ours", ["run", "Dice"])
    sheets.append(BOOK, "it's/ours", ["a", 0.9])
    sheets.add_tab(BOOK, "it's/ours", ["other"])
    assert sheets.read(BOOK, [in_tab("it's/ours", "A:B")]) == [[["run", "Dice"], ["a", "0.9"]]]
    assert google.book.tab("it's/ours").frozen == 1
    assert [tab.title for tab in sheets.layout(BOOK).tabs] == ["Sheet1", "it's/ours"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_passes_is_tried_again(google: SheetsStandIn, sheets: Sheets, status: int) -> None:
    google.fail(Fault("answer", Answer(status, "<html>Error</html>")), times=3)
    sheets.write(BOOK, {"'Sheet1'!A1": [["x"]]})
    assert len(asked(google)) == 4


def test_there_is_an_end_to_trying(google: SheetsStandIn, sheets: Sheets) -> None:
    google.always = Fault("answer", quota_answer("read"))
    with pytest.raises(NotDelivered, match=r"too many requests \(429\)") as caught:
        sheets.read(BOOK, ["A1"])
    google.always = None
    assert len(asked(google)) == sheets_http.TRIES
    assert caught.value.retry_after_s is not None
    assert 30 <= caught.value.retry_after_s <= 90


def test_a_long_wait_that_google_asks_for_is_left_to_the_caller(google: SheetsStandIn, sheets: Sheets) -> None:
    google.fail(Fault("answer", Answer(429, {}, {"Retry-After": "40"})))
    with pytest.raises(NotDelivered) as caught:
        sheets.read(BOOK, ["A1"])
    assert caught.value.retry_after_s == 40
    assert len(asked(google)) == 1


def test_a_service_that_is_not_there_is_not_delivered(tmp_path: Path) -> None:
    with SheetsStandIn() as google:
        sheets = opened(google, tmp_path)
        sheets.read(BOOK, ["A1"])
    with pytest.raises(NotDelivered, match=r"Google Sheets at 127\.0\.0\.1 "):
        sheets.append(BOOK, "Sheet1", ["x"])
    sheets.close()


@pytest.mark.parametrize("fault", [Fault("reset_after"), Fault("answer", Answer(200, "<html>Sign in</html>"))])
def test_a_row_whose_answer_was_lost_is_not_appended_again(google: SheetsStandIn, sheets: Sheets, fault: Fault) -> None:
    google.fail(fault)
    with pytest.raises(NotDelivered):
        sheets.append(BOOK, "Sheet1", ["once"])
    assert len(asked(google)) == 1


def test_a_row_that_google_had_no_quota_for_is_appended_a_moment_later(google: SheetsStandIn, sheets: Sheets) -> None:
    google.fail(Fault("answer", quota_answer("write")))
    sheets.append(BOOK, "Sheet1", ["once"])
    assert google.book.tab("Sheet1").cells == {(0, 0): "once"}


def test_the_token_server_may_stumble(google: SheetsStandIn, tmp_path: Path) -> None:
    google.fail(*(Fault("answer", Answer(*said)) for said in [(502, "<html>502</html>"), (503, "busy"), (200, "{}")]))
    sheets = opened(google, tmp_path)
    assert sheets.read(BOOK, ["A1"]) == [[]]
    assert len(google.tokens) == 1
    sheets.close()


def test_a_token_serves_until_it_is_taken_back(google: SheetsStandIn, sheets: Sheets) -> None:
    sheets.read(BOOK, ["A1"])
    assert len(google.tokens) == 1
    google.tokens = dict.fromkeys(google.tokens, ("", "", 0.0))
    sheets.read(BOOK, ["A1"])
    assert len(google.tokens) == 2


def test_a_missing_tab_is_rejected_in_googles_words(sheets: Sheets) -> None:
    with pytest.raises(Rejected, match="Unable to parse range: 'nothing'!A1"):
        sheets.read(BOOK, ["'nothing'!A1"])


def test_a_reader_can_read_alone(google: SheetsStandIn, tmp_path: Path) -> None:
    sheets = opened(google, tmp_path, readonly=True)
    assert sheets.read(BOOK, ["A1"]) == [[]]
    with pytest.raises(Refused):
        sheets.write(BOOK, {"A1": [["x"]]})
    sheets.close()


def test_a_key_that_was_revoked_is_refused(google: SheetsStandIn, tmp_path: Path) -> None:
    sheets = opened(google, tmp_path)
    google.keys.clear()
    with pytest.raises(Refused, match=r"does not accept this key \(invalid_grant: Invalid JWT Signature"):
        sheets.read(BOOK, ["A1"])
    sheets.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.chmod(0o644), "chmod 600"),
        (lambda path: path.write_text("{"), "is not JSON"),
        (lambda path: path.write_text('{"type": "authorized_user"}'), "no service account's key"),
        (lambda path: path.write_text('{"type": "service_account", "client_email": "a"}'), "lacks private_key and"),
        (lambda path: _with(path, private_key="-----BEGIN PRIVATE KEY-----\nMII"), "private key cannot be read"),
    ],
)
def test_a_key_file_that_will_not_do_is_told_with_its_name(
    google: SheetsStandIn, tmp_path: Path, spoil: Callable[[Path], Any], words: str
) -> None:
    key = google.write_key(tmp_path / "key.json")
    spoil(key)
    with pytest.raises(Refused, match=words) as caught:
        open_sheet(Secrets(tmp_path / ".env", {"GOOGLE_APPLICATION_CREDENTIALS": str(key)}), base_url=google.url)
    assert str(key) in str(caught.value)
    assert "MII" not in str(caught.value)


def test_without_a_key_file_its_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="GOOGLE_APPLICATION_CREDENTIALS is not set"):
        open_sheet(Secrets(tmp_path / ".env", {}))


def test_an_address_that_is_none_is_told(google: SheetsStandIn, tmp_path: Path) -> None:
    secrets = Secrets(
        tmp_path / ".env", {"GOOGLE_APPLICATION_CREDENTIALS": str(google.write_key(tmp_path / "key.json"))}
    )
    sheets = open_sheet(secrets, base_url="sheets.example")
    with pytest.raises(Refused, match="is not an address"):
        sheets.read(BOOK, ["A1"])
    sheets.close()


def test_columns_have_letters() -> None:
    assert [letters_of(number) for number in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"https://docs.google.com/spreadsheets/d/{BOOK}/edit?gid=0#gid=0", BOOK),
        (BOOK, BOOK),
        ("https://docs.google.com/document/d/1", None),
        ("results", None),
    ],
)
def test_an_address_and_an_id_name_a_spreadsheet(text: str, found: str | None) -> None:
    assert spreadsheet_id_of(text) == found


def _with(path: Path, **parts: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (
            400,
            "This operation is not supported for this document. It must not be an Office file",
            "Save as Google Sheets",
        ),
        (400, "You are trying to edit a protected cell or object.", "protected ranges"),
        (403, "Request had insufficient authentication scopes.", f"shared with {ACCOUNT}, as an editor"),
        (403, "Google Sheets API has not been used in project 1 before", "Switch the Google Sheets API on"),
        (403, "Access restricted by your organization's policy.", "as an editor"),
        (404, "Requested entity was not found.", "the spreadsheet's ID"),
        (418, "I am a teapot", "base_url"),
    ],
)
def test_a_refusal_shows_google_s_own_words(
    google: SheetsStandIn, sheets: Sheets, status: int, said: str, words: str
) -> None:
    google.fail(Fault("answer", Answer(status, {"error": {"message": said}})))
    with pytest.raises(Refused) as caught:
        sheets.read(BOOK, ["A1"])
    assert f'says: "{said}" ({status}). ' in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "body", ["{}", "[]", '"a"', "null", '{"valueRanges": 5}', '{"valueRanges": [5]}', '{"sheets": [{}]}']
)
def test_an_answer_of_something_else_is_tried_later(google: SheetsStandIn, sheets: Sheets, body: str) -> None:
    google.always = Fault("answer", Answer(200, body))
    for call in (lambda: sheets.read(BOOK, ["A1"]), lambda: sheets.layout(BOOK)):
        with pytest.raises(NotDelivered):
            call()


@pytest.mark.parametrize(("status", "words"), [(403, "with a page or nothing"), (302, "redirects"), (407, "a login")])
def test_what_a_proxy_answers_is_no_refusal_of_google(
    google: SheetsStandIn, sheets: Sheets, status: int, words: str
) -> None:
    google.always = Fault("answer", Answer(status, "<html>hotel</html>"))
    with pytest.raises(NotDelivered, match=words):
        sheets.read(BOOK, ["A1"])


@pytest.mark.parametrize(
    "body", ["<html>hotel</html>", "{}", "[]", '"a"', '{"access_token": 5}', '{"expires_in": "x"}']
)
def test_a_token_server_that_is_none_is_tried_later(google: SheetsStandIn, tmp_path: Path, body: str) -> None:
    sheets = opened(google, tmp_path)
    google.always = Fault("answer", Answer(200, body))
    with pytest.raises(NotDelivered):
        sheets.read(BOOK, ["A1"])
    sheets.close()
