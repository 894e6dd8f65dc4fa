"""A run is published as it may be seen by everybody; the Hub is a stand-in on loopback."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper

from configs.schema import Config
from data.hand_bone.classes import BONES
from runtime.model.metadata import Metadata, metadata_from
from services.secrets import Secrets
from tests.standin import Answer, Fault
from tests.trainer.export.conftest import write_run
from tests.trainer.publish.standin_hub import Hub
from trainer.evaluation.score_table import ScoreTable
from trainer.evaluation.validator import write_validation
from trainer.publish.bundle import Bundle, bundle_of
from trainer.publish.card import hub_licence
from trainer.publish.cleaning import Cleaning, fault_in, folders_of, names_of, without_folders
from trainer.publish.hub import send, token_of
from trainer.publish.publish import Request, publish
from trainer.records.checkpoint import load_weights, save_weights
from trainer.records.folder import RunFolder
from trainer.trained import load_trained
from utils.errors import UserError
from utils.metric import Metric
from utils.text import forms_of

REPO = "kim/hands"
PASSWORD = "word" * 4
IMAGES = {"image1661.png": "ID001", "image1662.png": "ID002"}
FILES = ["best.safetensors", "model.onnx", "README.md", "config.yaml", "scores.json"]


@pytest.fixture(scope="module")
def private_run(make_config_in: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose files hold paths, a secret, names of images and the settings of a team."""
    place = tmp_path_factory.mktemp("private")
    data = {"exclude": ["ID001/image1661.png"], "made_by": f"python make.py --out {place}/my data/hands"}
    services = {"mlflow": {"experiment": "our-secret-project"}}
    folder = write_run(make_config_in(place, data=data, services=services))
    table = ScoreTable(BONES, Metric("dice", "Dice"))
    for image, score in zip(IMAGES, (0.5, 1.0), strict=True):
        table.add(image, torch.full((len(BONES),), score).double().numpy())
    write_validation(folder.validation, 4, table, dict.fromkeys(IMAGES, "straight"), IMAGES)
    entries = [
        {"name": f"{place}/hands", "licence": "CC BY 4.0", "attribution": f"see https://kim:{PASSWORD}@host/x"},
        {"name": f"{place}/a.safetensors, images of {place}/my films", "licence": "CC BY 4.0"},
    ]
    weights = load_weights(folder.best_weights)
    save_weights(folder.best_weights, replace(weights, provenance={"data": entries, "start": []}))
    write_onnx(folder.path / "model.onnx", f"CC0-1.0 ({place}/hands)")
    return folder.path


def write_onnx(path: Path, licence: str) -> None:
    """Write an ONNX file of one sigmoid with a description as export.py gives it."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("images", "probability")]
    graph = helper.make_graph([helper.make_node("Sigmoid", ["images"], ["probability"])], "net", ends[:1], ends[1:])
    model = helper.make_model(graph)
    helper.set_model_props(model, Metadata("hand_bone", BONES, licence=licence).as_properties())
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def bundle(private_run: Path) -> Bundle:
    return bundle_of(RunFolder(private_run), REPO)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    # Without the package hf_xet, whose store is a service of its own, large files are sent by Git LFS.
    monkeypatch.setattr("huggingface_hub._commit_api.is_xet_available", lambda: False)
    with Hub() as standin:
        yield standin


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "none", {"HF_TOKEN": "a" * 30})


@pytest.fixture
def copied(private_run: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(private_run, tmp_path / "run"))


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how the library sends large files
def test_what_is_sent_holds_nothing_private_and_predicts_elsewhere(
    private_run: Path, hub: Hub, secrets: Secrets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    publish(Request(private_run, REPO, private=True), secrets=secrets, endpoint=hub.url)
    sent = hub.repos[REPO]
    assert list(sent) == FILES
    assert hub.private[REPO]
    asked = [request for request in hub.requests if not request.path.startswith("/store/")]
    assert all(request.headers["authorization"] == f"Bearer {'a' * 30}" for request in asked)
    assert len(hub.stored) == 2
    for private in (str(private_run.parents[1]), "my data", PASSWORD, "image166", "ID001", "our-secret-project"):
        assert [name for name, content in sent.items() if private.encode() in content] == []
    (tmp_path / "best.safetensors").write_bytes(sent["best.safetensors"])
    trained = load_trained(tmp_path / "best.safetensors", torch.device("cpu"))
    before = load_weights(RunFolder(private_run).best_weights)
    assert all(torch.equal(before.tensors[name], value) for name, value in trained.weights.tensors.items())
    assert trained.weights.step == 120
    names = [entry["name"] for entry in (trained.weights.provenance or {})["data"]]
    assert names == ["hands", "a.safetensors, images of my films"]
    assert yaml.safe_load(sent["config.yaml"])["data"]["exclude"] == []
    properties = {entry.key: entry.value for entry in onnx.load_model_from_string(sent["model.onnx"]).metadata_props}
    about = metadata_from(properties)
    assert about is not None
    assert (about.licence, about.classes) == ("CC0-1.0 (hands)", BONES)
    assert "config.yaml: names of images are left out (data.exclude)" in caplog.text
    assert "model.onnx: of paths only the last name is sent (licence)" in caplog.text
    assert "best.safetensors: secrets are replaced by *** (provenance.data.attribution)" in caplog.text


def test_the_card_has_what_the_hub_reads_and_what_people_must_know(bundle: Bundle) -> None:
    card = bundle.files["README.md"].decode()
    _, front, text = card.split("---\n", 2)
    about = yaml.safe_load(front)
    found = {key: about[key] for key in ("license", "library_name", "pipeline_tag", "metrics", "tags")}
    assert found == {
        "license": "cc-by-4.0",
        "library_name": "carpus",
        "pipeline_tag": "image-segmentation",
        "metrics": ["dice"],
        "tags": ["carpus", "segmentation", "hand_bone"],
    }
    assert about["model-index"][0]["results"][0]["metrics"] == [{"type": "dice", "value": 0.75}]
    for part in (
        "# hands",
        "Mean Dice of the 2 images that the run held out: 0.7500.",
        "| Radius | 0.7500 |",
        "hf download kim/hands --local-dir hands",
        "--model hands/model.onnx",
        "| a.safetensors, images of my films | CC BY 4.0 |",
        "not for diagnosis",
    ):
        assert part in text


def test_a_dry_run_lists_what_would_be_sent_and_sends_nothing(
    private_run: Path, bundle: Bundle, hub: Hub, secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    publish(Request(private_run, REPO, dry_run=True), secrets=secrets, endpoint=hub.url)
    assert hub.requests == []
    would = bundle.files
    assert [line.split("bytes  ")[1] for line in caplog.messages if "bytes  " in line] == FILES
    for name, content in would.items():
        assert f"{len(content):,} bytes  {name}" in caplog.text
    assert f"dry run: 5 files, {sum(map(len, would.values())):,} bytes would be sent to {REPO}" in caplog.text


@pytest.mark.parametrize(
    ("attribution", "fault"),
    [
        ("films of ID002", "the name 'ID002' of an image or group"),
        ("see image1662.png", "the name 'image1662.png' of an image or group"),
        ("image1662, the best", "the name 'image1662' of an image or group"),
    ],
)
def test_the_name_of_an_image_in_a_text_refuses_all(
    copied: Path, hub: Hub, secrets: Secrets, attribution: str, fault: str
) -> None:
    weights = RunFolder(copied).best_weights
    entries: dict[str, Any] = {"data": [{"name": "x", "attribution": attribution}], "start": []}
    save_weights(weights, replace(load_weights(weights), provenance=entries))
    with pytest.raises(UserError, match=rf"best.safetensors: holds {fault}, so nothing was sent"):
        publish(Request(copied, REPO), secrets=secrets, endpoint=hub.url)
    assert hub.requests == []


@pytest.mark.parametrize("text", forms_of("따옴 환자7_왼손.png 표"))
@pytest.mark.parametrize("name", forms_of("환자7_왼손.png"))
def test_a_name_is_found_in_whichever_form_it_is_stored(text: str, name: str) -> None:
    assert fault_in(text, names_of([name], [], [], []), []) == "the name '환자7_왼손.png' of an image or group"


def test_a_folder_behind_a_link_is_found_by_both_paths(tmp_path: Path) -> None:
    real, link = tmp_path / "진짜", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    for place in (real, link):
        for text in forms_of(f"from {place}/a.png"):
            assert fault_in(text, [], folders_of(link)) == f"the path {place} of this machine"


def test_an_onnx_file_of_others_or_with_a_path_in_its_graph_is_refused(copied: Path) -> None:
    path, folder = copied / "model.onnx", RunFolder(copied)
    model = onnx.load(path)
    model.graph.node[0].doc_string = f"{copied.absolute()}/model.py"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"model.onnx: holds the path .* of this machine, so nothing was sent"):
        bundle_of(folder, REPO)
    del model.metadata_props[:]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"model.onnx: was not written by export.py"):
        bundle_of(folder, REPO)
    path.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"model.onnx: is damaged"):
        bundle_of(folder, REPO)


def test_nothing_private_is_sent_to_a_repository_that_is_public(hub: Hub) -> None:
    hub.private[REPO] = False
    with pytest.raises(UserError, match="exists, and everybody can read it, so nothing was sent"):
        send(REPO, {"a": b""}, "Publish", "token", private=True, endpoint=hub.url)
    assert hub.repos == {}


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "does not accept the token"),
        (403, "may not write there"),
        (404, "does not find it"),
        (400, "the Hub answered 400"),
    ],
)
def test_refusals_of_the_hub_end_in_a_sentence(hub: Hub, status: int, sentence: str) -> None:
    hub.always = Fault("answer", Answer(status, {"error": "no"}))
    with pytest.raises(UserError, match=rf"^--repo {REPO}: .*{sentence}.* No commit was made\.$"):
        send(REPO, {"a": b""}, "Publish", "token", private=False, endpoint=hub.url)


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_store_that_refuses_a_large_file_ends_in_a_sentence(hub: Hub) -> None:
    hub.refuses_large = True
    with pytest.raises(UserError, match=r"the token may not write there \(403\).* No commit was made\.$"):
        send(REPO, {"a.onnx": b"a"}, "Publish", "token", private=False, endpoint=hub.url)
    assert hub.repos == {}


def test_without_a_network_or_a_token_it_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"the Hub was not reached .*\(ConnectError\)"):
        send(REPO, {"a": b""}, "Publish", "token", private=False, endpoint="http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="HF_TOKEN is not set"):
        token_of(Secrets(tmp_path / "none", {}))


def test_a_damaged_file_of_scores_is_refused(copied: Path) -> None:
    RunFolder(copied).validation.write_text('{"per_image_and_class": {"a.png": 3}, "images": 4}')
    with pytest.raises(UserError, match=r"validation.json: is damaged"):
        bundle_of(RunFolder(copied), REPO)


def test_a_detector_that_is_not_sent_is_left_out_of_the_config() -> None:
    cleaning = Cleaning("config.yaml")
    values = cleaning.config({"predict": {"model": "auto", "detector": "/data/rcnn.pth"}})
    assert values == {"predict": {"model": "own", "detector": None}}
    assert "a file of its own that is not sent" in cleaning.removed[0]


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("/data/films/hands", "hands"),
        ("/data/my films/", "my films"),
        ("/home/kim", "home"),
        ("~/films", "films"),
        ("../../kim/films", "films"),
        ("C:\\Users\\kim\\films", "films"),
        ("\\\\server\\kim\\films", "films"),
        ("file:///home/kim/films", "films"),
        ("masks of /home/kim lee/my films/hands", "masks of hands"),
        ("/a/b.pth, images of /c, d/e", "b.pth, images of e"),
        *[(same, same) for same in ("datasets/hands", "https://host.org/a/b", "MIT / Apache-2.0", "CC BY/SA", "")],
    ],
)
def test_of_a_path_the_last_name_alone_is_left(text: str, short: str) -> None:
    assert without_folders(text) == short


@pytest.mark.parametrize(
    ("licences", "names"),
    [
        (["Apache-2.0"], ("apache-2.0", None)),
        (["CC BY 4.0", "CC BY 4.0"], ("cc-by-4.0", None)),
        (["CC BY 4.0", "MIT"], ("other", "see-made-from")),
        (["a licence of its own"], ("other", "see-made-from")),
        (["CC BY 4.0", None], (None, None)),
        ([], (None, None)),
    ],
)
def test_a_licence_is_named_to_the_hub_only_if_all_are_known(
    licences: list[str | None], names: tuple[str | None, str | None]
) -> None:
    assert hub_licence({"data": [{"name": "x", "licence": licence} for licence in licences]}) == names


def test_scores_are_sent_without_names(bundle: Bundle) -> None:
    scores = json.loads(bundle.files["scores.json"])
    assert (scores["metric"], scores["images"], scores["mean"]) == ("dice", 2, 0.75)
    assert list(scores["per_class"]) == list(BONES)
    assert set(scores["per_group"].values()) == {0.75}
    assert scores["per_stratum"] == {"straight": 0.75}
