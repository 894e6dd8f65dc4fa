"""A wrong path on the command line is reported before torch is loaded, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from configs.loading.load import LOOKING_ON
from tests.root import ROOT

SENTENCES = {
    "train.py --config no.yaml": "no.yaml: no such file",
    "train.py --config configs/smoke.yaml data.root=/nowhere": "there is no folder /nowhere/train",
    "train.py --resume runs/nothing": "runs/nothing: no run here",
    "inference.py --run runs/nothing": "runs/nothing: no run here",
    "inference.py --run runs/nothing --images /nowhere": "--images /nowhere: no such file",
    "export.py --run runs/nothing --output x.onnx": "runs/nothing: no run here",
    "export.py --run Makefile --output x.pt": "--output x.pt: expected a file that ends in .onnx, such as x.onnx",
    "export.py --run Makefile --output Makefile/x.onnx": "Makefile: is a file, not a folder",
    "export.py --run Makefile --output x.onnx --calibrate tests": "--calibrate tests: is for --precision int8 alone",
    "export.py --run Makefile --output x.onnx --precision int8 --calibrate no": "no: no such folder",
    "export.py --run Makefile --output x.onnx --engine tensorrt": "the package tensorrt is not installed here",
    "evaluate.py --prediction no.csv --truth tests": "no.csv: ",
    "K-fold_ensemble.py --runs runs/nothing --output x.csv": "runs/nothing: no run here",
    "K-fold_ensemble.py --csv no.csv other.csv --output x.csv": "no.csv: ",
    "-m trainer.compare no.csv no.csv --html x.html": "no.csv: ",
    "-m trainer.compare_cutouts --models runs/nothing b --images tests --html x.html": "runs/nothing: no run here",
    "-m trainer.crossval runs/nothing": "runs/nothing: no folds here",
    "-m trainer.measure --config no.yaml": "no.yaml: no such file",
    "-m trainer.publish runs/nothing --repo a/b": "runs/nothing: no run here",
    "-m trainer.publish Makefile --repo a": "--repo a: expected your name on the Hub and that of a model",
    "-m trainer.report --run runs/nothing": "runs/nothing: no run here",
    "-m trainer.search --config no.yaml --space no.yaml --trials 3": "no.yaml: no such file",
    "-m trainer.soup --weights runs/nothing --output x.safetensors": "runs/nothing: no run here",
    "-m trainer.thresholds --runs runs/nothing": "runs/nothing: no run here",
    "-m data.check /nowhere": "/nowhere: ",
    "-m data.folds --root /nowhere --out x": "/nowhere",
    "-m data.pseudo --csv no.csv --images /nowhere --out x": "/nowhere: no such folder",
    "-m data.cutout.coco --annotations no.json --images tests --out x": "no.json: ",
    "-m services.flush --run runs/nothing": "runs/nothing: there is no such folder",
    "-m services.check --config no.yaml": "no.yaml: no such file",
}

LOGGED = {
    "train.py --config configs/smoke.yaml trainer.epochz=3": "trainer.epochz=3: unknown key. Did you mean 'epochs'?",
    "train.py --config configs/smoke.yaml trainer.epochs=many": "1 to 1000000, or null, got 'many'",
    "train.py --config configs/smoke.yaml trainr.epochs=many": "trainr: unknown key. Did you mean 'trainer'?",
    "train.py --config configs/smoke.yaml transform.train[0].name=hflap": "'hflap' is not a transform",
}
"""Problems of a config; others may be found with torch, which these programs load then."""

WITHOUT_TORCH = """
import contextlib, io, json, runpy, sys
sys.modules["torch"] = None
import utils.program
utils.program.outlast_readers = lambda: None  # the streams stay those that are read below
said = {}
for line in json.load(sys.stdin):
    sys.argv = line.removeprefix("-m ").split()
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown), contextlib.redirect_stdout(shown):
        try:
            (runpy.run_module if line.startswith("-m ") else runpy.run_path)(sys.argv[0], run_name="__main__")
        except BaseException as end:
            said[line] = [getattr(end, "code", repr(end)), shown.getvalue()]
json.dump(said, sys.stdout)
"""


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[object, str]]:
    """By command line, the exit code and the text of its program, all in one process that cannot load torch."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        input=json.dumps([*SENTENCES, *LOGGED]),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[object, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("line", "sentence"), SENTENCES.items())
def test_a_wrong_path_is_reported_before_torch_is_loaded(
    said: dict[str, tuple[object, str]], line: str, sentence: str
) -> None:
    code, shown = said[line]
    assert (code, sentence in shown) == (2, True), shown


@pytest.mark.parametrize(("line", "sentence"), LOGGED.items())
def test_what_is_wrong_with_a_config_is_logged_before_torch_is_loaded(
    said: dict[str, tuple[object, str]], line: str, sentence: str
) -> None:
    shown = said[line][1]
    assert sentence in shown.partition(LOOKING_ON)[0]


def test_all_problems_of_a_config_are_told_in_one_round_and_each_once() -> None:
    command = "train.py --config configs/smoke.yaml trainer.epochz=3 model.encoder=resnet81 loss=dise"
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert [line.partition("=")[0] for line in done.stderr.splitlines()] == [
        "command line: trainer.epochz", LOOKING_ON, "command line: loss", "command line: model.encoder",
    ]  # fmt: skip


def test_a_config_with_one_problem_tells_it_once() -> None:
    command = "train.py --config configs/smoke.yaml trainer.epochz=3"
    done = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr.count("epochz")) == (2, 1)


def test_reading_arguments_loads_nothing_large() -> None:
    loaded = "import sys, inference; print(sorted({'cv2', 'numpy', 'pydantic', 'torch', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
