from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.channel import NotDelivered, Refused
from services.env_file import change_env
from services.kakao import KakaoTalk, missing
from services.kakao.errors import QuotaExhausted
from services.secrets import Secrets, read_env
from tests.services.kakao.runs import END, NAMES, START, befriend, channel, queued, write_tokens
from tests.services.kakao.standin import HOUR_S, KakaoStandIn, error
from tests.standin import Answer, Fault
from utils.events import EpochEnded, FoldsJoined, ReportWritten, RunFailed, RunInterrupted, StepEnded

FOLDER = Path("runs/mine")
SEND = "/v1/api/talk/friends/message/default/send"
MESSAGE = {"object_type": "text", "text": "from elsewhere", "link": {}}
MEMO = "/v2/api/talk/memo/default/send"


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[KakaoStandIn]:
    with KakaoStandIn() as running:
        running.now = lambda: 1_800_000_000.0
        write_tokens(tmp_path / ".env", running)
        yield running


def calls(standin: KakaoStandIn, path: str) -> int:
    return sum(request.path == path for request in standin.requests)


def turn(standin: KakaoStandIn, seconds: float) -> None:
    now = standin.now()
    standin.now = lambda: now + seconds


def again(folder: Path, standin: KakaoStandIn, **settings: Any) -> KakaoTalk:
    """The channel as another process makes it, after the first one has gone."""
    return channel(folder, standin, **settings)


def test_a_memo_to_oneself(tmp_path: Path, standin: KakaoStandIn) -> None:
    kakao = channel(tmp_path, standin, language="ko", link_url="https://mlflow.example/")
    kakao.deliver(queued(START, standin))
    assert standin.texts_of("me") == [
        "▶ 학습 시작: mine\n50 에폭, 이미지 640장, Tesla V100\nv100-1, kim\nhttps://mlflow.example/"
    ]
    assert standin.templates[0]["button_title"] == "열기"


def test_seven_friends_are_told_in_two_calls(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, *NAMES[1:])
    channel(tmp_path, standin, friends=(*uuids, uuids[0])).deliver(queued(END, standin))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [1] * 8
    assert (calls(standin, SEND), calls(standin, MEMO)) == (2, 1)


def test_friends_alone_where_that_is_wanted(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, "ann")
    channel(tmp_path, standin, friends=uuids, to_me=False).deliver(queued(END, standin))
    assert (len(standin.texts_of("me")), len(standin.texts_of(uuids[0]))) == (0, 1)


def test_only_start_end_and_error_are_its_business(tmp_path: Path, standin: KakaoStandIn) -> None:
    kakao = channel(tmp_path, standin)
    failed, stopped = RunFailed("mine", FOLDER, "x"), RunInterrupted("mine", FOLDER, 1, 1, "x")
    joined = FoldsJoined("mine", FOLDER, 5, 0.9, 0.1, FOLDER)
    assert all(kakao.accepts(event) and kakao.must_arrive(event) for event in (START, END, joined, failed, stopped))
    best = EpochEnded(0, 2, 1.0, 0.5, {}, {}, 0.0, is_best=True)
    assert not any(
        kakao.accepts(event) for event in (best, StepEnded(0, 1, 2, None), ReportWritten("", FOLDER, FOLDER, {}))
    )
    quiet = channel(tmp_path, standin, events=("error",))
    assert [quiet.accepts(event) for event in (START, END, joined, failed, stopped)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    def of(settings: dict[str, object], **environment: str) -> str | None:
        return missing(Secrets(tmp_path / ".env", environment), settings)

    assert of({}) == "KAKAO_ACCESS_TOKEN is not set"
    assert of({}, KAKAO_ACCESS_TOKEN="x") is None
    assert of({}, KAKAO_REFRESH_TOKEN="x") is not None
    assert of({}, KAKAO_REFRESH_TOKEN="x", KAKAO_REST_API_KEY="y") is None
    assert "nobody to write to" in str(of({"to_me": False}, KAKAO_ACCESS_TOKEN="x"))
    assert of({"to_me": False, "friends": ("u",)}, KAKAO_ACCESS_TOKEN="x") is None


# Tokens


def test_a_token_that_ran_out_is_renewed_and_the_message_sent_once(tmp_path: Path, standin: KakaoStandIn) -> None:
    turn(standin, 7 * HOUR_S)
    channel(tmp_path, standin).deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1
    assert read_env(tmp_path / ".env")["KAKAO_ACCESS_TOKEN"] in standin.access


def test_a_token_that_somebody_has_put_there_meanwhile_is_taken(tmp_path: Path, standin: KakaoStandIn) -> None:
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    kakao = channel(tmp_path, standin)
    kakao.deliver(queued(START, standin))
    standin.access.clear()
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    kakao.deliver(queued(END, standin, "e2"))
    assert len(standin.texts_of("me")) == 2
    assert calls(standin, "/oauth/token") == 0


def test_a_host_without_a_refresh_token_waits_for_the_next_token(tmp_path: Path, standin: KakaoStandIn) -> None:
    (tmp_path / ".env").unlink()
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    turn(standin, 7 * HOUR_S)
    kakao = channel(tmp_path, standin)
    with pytest.raises(NotDelivered, match="no newer one yet"):
        kakao.deliver(queued(START, standin))
    write_tokens(tmp_path / ".env", standin, with_refresh=False)
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1


def test_a_refresh_token_alone_is_enough(tmp_path: Path, standin: KakaoStandIn) -> None:
    change_env(tmp_path / ".env", {"KAKAO_ACCESS_TOKEN": "", "KAKAO_ACCESS_TOKEN_EXPIRES_AT": ""})
    channel(tmp_path, standin).deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1


def test_a_token_that_is_refused_though_new_is_not_asked_for_again_and_again(
    tmp_path: Path, standin: KakaoStandIn
) -> None:
    standin.fail(Fault("answer", Answer(401, {"msg": "no", "code": -401})))
    standin.faults.extend([None, Fault("answer", Answer(401, {"msg": "no", "code": -401}))])  # type: ignore[list-item]
    with pytest.raises(NotDelivered, match=r"^KakaoTalk does not accept the access token, not even the newest"):
        channel(tmp_path, standin).deliver(queued(START, standin))
    assert calls(standin, "/oauth/token") == 1


def test_a_dead_refresh_token_is_told_with_the_way_out(tmp_path: Path, standin: KakaoStandIn) -> None:
    turn(standin, 7 * HOUR_S)
    standin.refresh.clear()
    with pytest.raises(Refused, match=r"Log in: python -m services\.kakao login"):
        channel(tmp_path, standin).deliver(queued(START, standin))


def test_a_lost_answer_of_the_login_is_no_lost_message(tmp_path: Path, standin: KakaoStandIn) -> None:
    turn(standin, 7 * HOUR_S)
    kakao = channel(tmp_path, standin)
    standin.faults.extend([None, Fault("reset")])  # type: ignore[list-item]
    with pytest.raises(NotDelivered):
        kakao.deliver(queued(START, standin))
    kakao.deliver(queued(START, standin))
    assert calls(standin, "/v1/user/access_token_info") == 0
    assert len(standin.texts_of("me")) == 1


# Partial success


def test_who_cannot_be_reached_is_left_out_and_said_once(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    uuids = befriend(standin, "ann", "bob", "dana")
    standin.friends[1].code = -530
    kakao = channel(tmp_path, standin, friends=(*uuids, "uuid-stranger"))
    kakao.deliver(queued(START, standin))
    again(tmp_path, standin, friends=(*uuids, "uuid-stranger")).deliver(queued(END, standin, "e2"))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [2, 0, 2]
    assert json.loads(standin.requests[-1].form["receiver_uuids"]) == [uuids[0], uuids[2]]
    assert caplog.messages == [
        "kakao: uuid-bob is left out for the rest of this run: "
        "KakaoTalk says that the receiver blocks messages of this app (-530)",
        "kakao: uuid-stranger is left out for the rest of this run: "
        "KakaoTalk says that this is no friend of the sender (-502)",
    ]


def test_a_receiver_whose_day_is_over_is_back_tomorrow(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, "ann", "bob")
    standin.friends[0].code = -533
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    kakao.deliver(queued(START, standin))
    standin.friends[0].code = None
    kakao.deliver(queued(END, standin, "e2"))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [0, 2]
    turn(standin, 24 * HOUR_S)
    kakao.deliver(queued(END, standin, "e3"))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [1, 3]


def test_a_call_that_is_refused_because_of_one_reaches_the_others(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, "ann", "bob", "dana")
    standin.friends[1].code, standin.whole_call_fails = -501, True
    channel(tmp_path, standin, friends=uuids).deliver(queued(START, standin))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [1, 1, 0, 1]


def test_what_fails_for_some_is_tried_once_more_for_them_alone(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    uuids = befriend(standin, "ann", "bob", "dana")
    standin.friends[1].code = standin.friends[2].code = -1
    kakao = channel(tmp_path, standin, friends=uuids)
    with pytest.raises(NotDelivered, match="reached 1 of 3 friends"):
        kakao.deliver(queued(START, standin))
    standin.friends[1].code = None
    with pytest.raises(NotDelivered, match="reached 1 of 2 friends"):
        kakao.deliver(queued(START, standin))
    kakao.deliver(queued(START, standin))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [1, 1, 1, 0]
    assert caplog.messages == [
        "kakao: two tries brought no answer to go by; whether uuid-dana got the message is not known"
    ]


def test_one_whom_the_answer_forgets_is_tried_once_more(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, "ann", "bob")
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    standin.fail(Fault("answer", Answer(200, {"successful_receiver_uuids": [uuids[0]]})))
    with pytest.raises(NotDelivered):
        kakao.deliver(queued(START, standin))
    kakao.deliver(queued(START, standin))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [0, 1]


# Quota


def test_the_last_message_of_a_day_says_so_and_the_day_ends_in_korea(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    uuids = befriend(standin, "ann")
    standin.now = lambda: 1_800_025_200.0  # midnight in Korea
    channel(tmp_path, standin).quota.count(uuids * 18)
    for number in range(4):
        run = tmp_path / f"run{number}"
        write_tokens(run / ".env", standin)
        channel(run, standin, friends=uuids, to_me=False).deliver(queued(END, standin))
    texts = standin.texts_of(uuids[0])
    assert len(texts) == calls(standin, SEND) == 2
    assert [words for words in texts if "Last KakaoTalk message of today" in words] == texts[-1:]
    assert sum("left out until midnight in Korea" in message for message in caplog.messages) == 2
    turn(standin, 24 * HOUR_S)
    again(tmp_path, standin, friends=uuids, to_me=False).deliver(queued(END, standin, "next day"))
    assert len(standin.texts_of(uuids[0])) == 3


@pytest.mark.parametrize("code", [-10, -531, -532])
def test_a_sender_whose_day_is_over_goes_on_tomorrow(tmp_path: Path, standin: KakaoStandIn, code: int) -> None:
    uuids = befriend(standin, "ann")
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    standin.now = lambda: 1_800_025_200.0 + 22 * HOUR_S
    standin.fail(Fault("answer", error(400, code)))
    for _ in range(2):
        with pytest.raises(QuotaExhausted) as caught:
            kakao.deliver(queued(START, standin))
        assert caught.value.retry_after_s == 2 * HOUR_S
    assert calls(standin, SEND) == 1, "the second time nobody is asked"
    turn(standin, 2 * HOUR_S + 1)
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of(uuids[0])) == 1
    assert calls(standin, "/v1/user/access_token_info") == 0, "nothing was lost"


def test_kakao_s_own_count_of_a_pair_is_believed(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, "ann")
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    for _ in range(20):
        kakao.api.send(next(iter(standin.access)), uuids, MESSAGE)
    for number in range(2):
        kakao.deliver(queued(START, standin, f"e{number}"))
    assert calls(standin, SEND) == 21
    assert len(standin.texts_of(uuids[0])) == 20


def test_a_sender_s_quota_in_the_list_of_failures_ends_the_day_too(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, *NAMES[1:5])
    standin.per_sender = 0
    kakao = channel(tmp_path, standin, friends=uuids, to_me=False)
    with pytest.raises(QuotaExhausted, match="sender's daily quota"):
        kakao.deliver(queued(START, standin))
    standin.per_sender = 100
    turn(standin, 24 * HOUR_S)
    kakao.deliver(queued(START, standin))
    assert [len(standin.texts_of(uuid)) for uuid in uuids] == [1] * 4


def test_memos_go_on_when_there_is_no_more_for_friends_today(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    uuids = befriend(standin, *NAMES[1:5])
    standin.per_sender = 0
    kakao = channel(tmp_path, standin, friends=uuids)
    kakao.deliver(queued(START, standin))
    kakao.deliver(queued(END, standin, "e2"))
    assert [len(standin.texts_of(name)) for name in ("me", *uuids)] == [2, 0, 0, 0, 0]
    assert calls(standin, SEND) == 1
    assert all("only you are told until midnight in Korea" in message for message in caplog.messages)


def test_counters_that_cannot_be_kept_stop_nothing(
    tmp_path: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("XDG_STATE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setattr("tempfile.tempdir", "/dev/null")
    kakao = channel(tmp_path, standin, friends=befriend(standin, "ann"))
    kakao.deliver(queued(START, standin))
    kakao.deliver(queued(END, standin, "e2"))
    assert len(standin.messages) == 4
    assert [message for message in caplog.messages if "not counted" in message] == caplog.messages[:1]


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer", Answer(500, "<html>")),
        Fault("answer", Answer(429, {"msg": "slow down", "code": -99}, {"Retry-After": "9"})),
        Fault("answer", error(400, -1)),
        Fault("answer", error(503, -9798)),
        Fault("answer", error(400, -7)),
        Fault("answer", Answer(302, "", {"Location": "/v1/user/access_token_info"})),
        Fault("answer", Answer(407, "proxy")),
    ],
)
def test_what_was_surely_not_heard_is_sent_as_often_as_need_be(
    tmp_path: Path, standin: KakaoStandIn, fault: Fault
) -> None:
    kakao = channel(tmp_path, standin)
    for _ in range(4):
        standin.fail(fault)
        with pytest.raises(NotDelivered) as caught:
            kakao.deliver(queued(START, standin))
        assert caught.value.retry_after_s == (9.0 if fault.answer.status == 429 else None)
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1
    assert calls(standin, "/v1/user/access_token_info") == 0


LOST = [
    Fault("reset_after"),
    Fault("reset"),
    Fault("answer", Answer(200, "<html>")),
    Fault("answer", Answer(200, {"result_code": 1})),
    Fault("answer", error(400, -603)),
]


@pytest.mark.parametrize("fault", LOST)
def test_a_message_whose_answer_is_lost_is_sent_once_more(tmp_path: Path, standin: KakaoStandIn, fault: Fault) -> None:
    standin.fail(fault)
    with pytest.raises(NotDelivered):
        channel(tmp_path, standin).deliver(queued(START, standin))
    again(tmp_path, standin).deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == (2 if fault.kind == "reset_after" else 1)
    assert calls(standin, "/v1/user/access_token_info") == 1


def test_a_message_is_never_sent_a_third_time(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    kakao = channel(tmp_path, standin)
    for _ in range(2):
        if standin.requests:
            standin.faults.append(None)  # type: ignore[arg-type]
        standin.fail(Fault("reset_after"))
        with pytest.raises(NotDelivered):
            kakao.deliver(queued(START, standin))
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 2
    assert caplog.messages == ["kakao: two tries brought no answer to go by; whether @me got the message is not known"]


def test_a_service_that_hangs_for_hours_gets_the_message_once_it_answers(
    tmp_path: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kakao.http.TIMEOUT_S", (0.5, 0.03))
    kakao = channel(tmp_path, standin)
    standin.always = Fault("hang", seconds=0.1)
    for _ in range(5):
        with pytest.raises(NotDelivered):
            kakao.deliver(queued(START, standin))
    assert calls(standin, MEMO) == 1
    standin.always = None
    monkeypatch.setattr("services.kakao.http.TIMEOUT_S", (0.5, 5.0))
    kakao.deliver(queued(START, standin))
    assert len(standin.texts_of("me")) == 1


def test_an_answer_that_only_drips_is_given_up(
    tmp_path: Path, standin: KakaoStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kakao.http.LONGEST_S", -1.0)
    with pytest.raises(NotDelivered, match="did not come to the end of its answer"):
        channel(tmp_path, standin).deliver(queued(START, standin))


def test_a_service_that_dies_between_two_calls_finishes_what_is_left(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, *NAMES[1:])
    standin.faults.extend([None, None, Fault("answer", Answer(503, "down"))])  # type: ignore[list-item]
    with pytest.raises(NotDelivered):
        channel(tmp_path, standin, friends=uuids).deliver(queued(END, standin))
    again(tmp_path, standin, friends=uuids).deliver(queued(END, standin))
    assert [len(standin.texts_of(uuid)) for uuid in ("me", *uuids)] == [1] * 8


def test_what_is_delivered_is_not_delivered_again(tmp_path: Path, standin: KakaoStandIn) -> None:
    uuids = befriend(standin, "ann")
    for _ in range(2):
        again(tmp_path, standin, friends=uuids).deliver(queued(END, standin))
    assert len(standin.messages) == 2


def test_a_late_message_is_sent_by_another_process_a_day_later(tmp_path: Path, standin: KakaoStandIn) -> None:
    event = queued(END, standin)
    turn(standin, 20 * HOUR_S)
    again(tmp_path, standin).deliver(event)
    assert "told late" in standin.texts_of("me")[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(400, -2), "services.kakao.friends"),
        (error(403, -3), "consent item"),
        (error(403, -5), "no permission"),
        (error(400, -11), "paid quota"),
        (error(400, -101), "not linked"),
        (error(400, -103), "dormant"),
        (error(400, -501), "Log in"),
        (error(403, -4000), r"refused the request; .* its code\. It said: scripted \(-4000\)"),
    ],
)
def test_what_only_a_person_can_mend_is_a_sentence(
    tmp_path: Path, standin: KakaoStandIn, answer: Answer, words: str
) -> None:
    standin.fail(Fault("answer", answer))
    with pytest.raises(Refused, match=words) as caught:
        channel(tmp_path, standin).deliver(queued(START, standin))
    assert str(caught.value).endswith((".", "login"))


def test_missing_consent_is_told_with_the_address_to_agree_at(tmp_path: Path, standin: KakaoStandIn) -> None:
    standin.consented = {"profile"}
    with pytest.raises(Refused, match=f"{standin.url}/oauth/authorize.*scope=talk_message,friends") as caught:
        channel(tmp_path, standin).deliver(queued(START, standin))
    assert standin.rest_api_key not in str(caught.value)


def test_one_s_own_uuid_among_the_friends_is_named(tmp_path: Path, standin: KakaoStandIn) -> None:
    befriend(standin, "ann")
    with pytest.raises(Refused, match="holds your own uuid"):
        channel(tmp_path, standin, friends=("uuid-ann", "me"), to_me=False).deliver(queued(START, standin))


def test_nothing_secret_is_logged_raised_or_remembered(
    tmp_path: Path, standin: KakaoStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kakao, raised = channel(tmp_path, standin, friends=befriend(standin, "ann")), list[str]()
    for fault in [*LOST, Fault("answer", error(403, -3)), Fault("answer", Answer(500, "x")), Fault("reset")]:
        standin.fail(fault)
        try:
            kakao.deliver(queued(START, standin, f"e{len(raised)}"))
        except (NotDelivered, Refused) as caught:
            raised.append(str(caught))
    written = caplog.text + "".join(raised) + (tmp_path / "services.json").read_text()
    written += "".join(path.read_text() for path in (tmp_path / "state").rglob("*.json"))
    assert len(raised) == len(LOST) + 3
    for secret in read_env(tmp_path / ".env").values():
        assert secret not in written
