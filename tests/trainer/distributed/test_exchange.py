from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.distributed import HashStore  # type: ignore[attr-defined]

from data.hand_bone.task import hand_bone
from data.masks.packed import bytes_of
from data.sample import Sample
from data.task import Task
from data.tasks import TASKS
from inference import refuse_several_processes
from runtime.sharing import Exchange, ranks_of
from runtime.writing import write_masks
from tests.forkserver import ForkServer
from tests.trainer.scenes import play
from trainer.distributed import exchange as exchange_module
from trainer.distributed.exchange import WAITING, StoreExchange
from trainer.distributed.failure import FAILURE_KEY
from trainer.inference import refuse_unclear
from utils.arrays import StoredMask
from utils.errors import UserError
from utils.processes import ProcessRanks

foreground = TASKS["foreground"]


def exchanges(world: int) -> list[StoreExchange]:
    store = HashStore()
    return [StoreExchange(store, rank, world, "test") for rank in range(world)]


def together(world: int, act: Callable[[StoreExchange], object]) -> list[object]:
    """What each of several threads returns that stand for processes."""
    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(act, exchanges(world)))


def test_values_go_from_the_main_process_to_all_and_from_all_to_it() -> None:
    def act(exchange: Exchange) -> object:
        return exchange.from_main(exchange.rank + 7), exchange.collect([exchange.rank]), exchange.collect("again")

    main, *others = together(3, act)
    assert main == (7, [[0], [1], [2]], ["again"] * 3)
    assert others == [(7, [], [])] * 2


def test_contents_of_any_size_arrive_and_the_store_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "CHUNK_BYTES", 5)
    main, other = exchanges(2)
    for content in (b"", b"12345", bytes(range(256))):
        other.send("a", content)
        assert main.receive("a", 1) == content
    assert main.store.num_keys() == 0


def test_no_more_than_a_few_contents_wait() -> None:
    main, other = exchanges(2)
    sent: list[int] = []

    def send() -> None:
        for number in range(WAITING + 2):
            other.send(str(number), b"content")
            sent.append(number)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(0.2)
    assert len(sent) == WAITING
    assert [main.receive(str(number), 1) for number in range(WAITING + 2)] == [b"content"] * (WAITING + 2)
    thread.join()


def test_nobody_waits_for_a_process_that_has_failed() -> None:
    main, _ = exchanges(2)
    main.store.set(FAILURE_KEY, "{}")
    with pytest.raises(UserError, match="Another process of this call has ended"):
        main.receive("a", 1)


def samples_of(count: int, suffix: str = ".png") -> list[Sample]:
    return [Sample(f"ID{number:03}", f"{number}", Path(f"{number}{suffix}")) for number in range(count)]


@pytest.mark.parametrize(("at_once", "ranks"), [(1, [0, 1, 0, 1, 0, 1, 0]), (2, [0, 0, 1, 1, 0, 1, 0])])
def test_processes_take_batches_in_turn_that_no_group_cuts(at_once: int, ranks: list[int]) -> None:
    samples = samples_of(7)
    groups = [samples[:5], samples[5:6], samples[6:]]
    assert list(ranks_of(groups, at_once, 2).values()) == ranks


def bones(root: Path) -> tuple[Task, list[Sample], dict[str, StoredMask]]:
    samples = hand_bone.layout.find_images(root / "test" / "DCM")
    random = np.random.default_rng(0)
    shape = (64, 64, bytes_of(len(hand_bone.classes)))
    masks = {sample.name: np.packbits(random.random((64, 64, 29)) < 0.1, 2, "little") for sample in samples}
    assert all(mask.shape == shape for mask in masks.values())
    return hand_bone, samples, masks


def photographs(folder: Path) -> tuple[Task, list[Sample], dict[str, StoredMask]]:
    """Seven, of which two cannot be decoded."""
    random = np.random.default_rng(0)
    folder.mkdir()
    samples = []
    for name in "abcdefg":
        path = folder / f"{name}.png"
        Image.fromarray(random.integers(0, 256, (40, 50, 3), np.uint8)).save(path)
        if name in "bf":
            path.write_bytes(path.read_bytes()[:2000])
        samples.append(Sample(name, name, path))
    return foreground, samples, {one.name: random.integers(0, 256, (40, 50, 1), np.uint8) for one in samples}


def contents(output: Path) -> dict[str, bytes]:
    files = [output] if output.is_file() else sorted(output.iterdir())
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("kind", ["bones", "photographs"])
def test_several_processes_write_the_bytes_of_one(world: int, kind: str, root: Path, tmp_path: Path) -> None:
    task, samples, masks = bones(root) if kind == "bones" else photographs(tmp_path / "images")

    def predict(given: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        return ((sample, masks[sample.name]) for sample in given)

    def write(name: str, exchange: Exchange | None) -> list[str]:
        faults = write_masks(task, predict, samples, tmp_path / name, origin="o", at_once=1, exchange=exchange)
        return [str(fault) for fault in faults]

    faults = write("alone", None)
    main, *others = together(world, lambda exchange: write("shared", exchange))
    assert main == faults
    assert len(faults) == (0 if kind == "bones" else 2)
    assert not any(others)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_several_processes_go_on_where_one_was_interrupted(root: Path, tmp_path: Path) -> None:
    task, samples, masks = bones(root)
    asked: list[str] = []

    def predict(given: Iterable[Sample]) -> Iterator[tuple[Sample, StoredMask]]:
        for sample in given:
            asked.append(sample.name)
            yield sample, masks[sample.name]

    output = tmp_path / "out.csv"
    with suppress(KeyboardInterrupt), task.output.open(output, samples, "o", 1) as writer:
        for sample in samples[:2]:
            writer.write_mask(sample.name, masks[sample.name])
        raise KeyboardInterrupt
    together(2, lambda exchange: write_masks(task, predict, samples, output, origin="o", at_once=1, exchange=exchange))
    assert sorted(asked) == [sample.name for sample in samples[2:]]
    asked.clear()
    write_masks(task, predict, samples, tmp_path / "whole.csv", origin="o", at_once=1)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.fixture(scope="module")
def played(root: Path, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What predicting.py left."""
    folder = tmp_path_factory.mktemp("predicting")
    play(fork_server, "tests.trainer.distributed.predicting", root, folder)
    return folder


@pytest.mark.parametrize("name", ["{}.csv", "{}_together.csv"])
def test_inference_and_ensembles_of_two_processes_write_the_csv_of_one(name: str, played: Path) -> None:
    one, two = ((played / name.format(world)).read_bytes() for world in ("one", "two"))
    assert one.count(b"\n") == 1 + 4 * 29
    assert two == one


def test_one_process_logs(played: Path) -> None:
    ends = json.loads((played / "ends.json").read_text())
    for scene in ("two", "two_together"):
        assert ends[scene] == [0, 0]
        assert "4 images with" in (played / f"{scene}.0.txt").read_text()
        assert (played / f"{scene}.1.txt").read_text() == ""


def test_a_fault_in_one_ends_both_with_one_sentence(played: Path) -> None:
    assert json.loads((played / "ends.json").read_text())["faulty"] == [2, 2]
    said = [(played / f"faulty.{rank}.txt").read_text() for rank in (0, 1)]
    assert sum("image.png: is broken." in each for each in said) == 1, said
    assert not any("Traceback" in each for each in said)
    assert not (played / "no.csv").exists()


def test_an_onnx_file_predicts_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_several_processes(Path("model.onnx"))
    monkeypatch.setattr("inference.process_ranks", lambda: ProcessRanks(0, 2, 0, 2))
    with pytest.raises(UserError, match=r"model\.onnx: an ONNX file predicts in one process\. Start"):
        refuse_several_processes(Path("model.onnx"))


def test_a_gallery_is_drawn_in_one_process(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    with pytest.raises(UserError, match=r"--gallery: is drawn in one process\. Start"):
        refuse_unclear(weights, tmp_path, tmp_path / "gallery", exchanges(2)[0])
