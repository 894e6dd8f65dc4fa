"""Run the whole road on 64 px phantom hands and write a digest of every result, to compare two versions of the code.

    python -m tests.golden --out FILE.json [--tree DIR] [--keep DIR]   write the digests of a tree (default: this one)
    python -m tests.golden --expect FILE.json [--tree DIR]             compare a tree with digests written before
    python -m tests.golden --against COMMIT [--tree DIR]               compare a tree with a commit of its repository

It starts nothing but commands that a user types, so it also works on a tree whose modules lie elsewhere. Digests cover
weights, optimizer states, CSVs, JSONs, `config.yaml`, fold files and labels; never times, paths, pictures or sentences.
They are equal between two runs on one machine, not between machines. Exit code: 0 equal, 1 different, 2 a command
failed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

THIS_TREE = Path(__file__).resolve().parents[1]

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
SET_VARIABLES = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    **{"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONHASHSEED": "0"},
}
"""Everything else of the environment is left out: secrets of services, above all."""

CONFIG = "everything.yaml"
EVERYTHING = """\
# Trained, stopped in its first epoch and resumed: everything that has a state is switched on.
extends: {smoke}
run: {{name: stopped, if_exists: refuse}}
data: {{bent_weight: 2}}
transform:
  train:
    - hflip
    - {{name: affine, p: 0.5}}
    - {{name: elastic, p: 0.5}}
    - {{name: ulnar_deviation, p: 0.5}}
    - {{name: foreground_crop, size_px: 32}}
    - {{name: clahe, p: 0.5}}
    - {{name: gamma, p: 0.5}}
    - {{name: noise, p: 0.5}}
loss: {{name: mix, parts: [{{loss: dice}}, {{loss: focal, weight: 0.5}}]}}
optimizer: {{name: adamw, lr: 1e-3}}
scheduler: {{name: custom_cawr, first_cycle: 4, warmup: 1}}
trainer: {{epochs: 2, batch_size: 2, accumulate: 1, ema_decay: 0.9, swa_from_epoch: 2}}
checkpoint: {{every_steps: 1}}
predict: {{postprocess: [fill_holes]}}
"""

WITHOUT = {"log.txt", "environment.json", "everything.yaml"}
WITHOUT_FOLDERS = {"pictures", "gallery"}
TIMES = {"seconds", "data_wait_share"}
"""Columns of `metrics.csv` and keys of JSON files that no two runs have in common."""

Digests = dict[str, str]


class CommandFailed(Exception):
    """A command of the road ended otherwise than it should."""


def main() -> int:
    arguments = parse()
    prepare_process()
    with tempfile.TemporaryDirectory(prefix="golden-") as name:
        temporary = Path(name)
        (temporary / "log.txt").touch()
        try:
            return compare_or_write(arguments, temporary)
        except CommandFailed as failure:
            print_line(f"{failure}\n{(temporary / 'log.txt').read_text(encoding='utf-8', errors='replace')[-4000:]}")
            return 2


def compare_or_write(arguments: argparse.Namespace, temporary: Path) -> int:
    """Run the road in the tree, then write its digests or compare them; returns the exit code."""
    before: Digests | None = None
    if arguments.expect is not None:
        before = json.loads(arguments.expect.read_text(encoding="utf-8"))
    if arguments.against is not None:
        unpacked = unpack(arguments.tree, arguments.against, temporary / "before")
        before = digests_of_road(unpacked, temporary / "road", temporary / "log.txt")
        shutil.rmtree(temporary / "road")
    after = digests_of_road(arguments.tree, arguments.keep or temporary / "road", temporary / "log.txt")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(after, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0 if before is None else print_differences(differences(before, after), len(after))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description="Compare two versions of the code.")
    parser.add_argument("--tree", type=lambda text: Path(text).resolve(), default=THIS_TREE, help="the code to run")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tree's digests")
    parser.add_argument("--keep", type=lambda text: Path(text).resolve(), metavar="DIR", help="keep the results here")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--expect", type=Path, metavar="FILE", help="compare with digests that --out has written")
    source.add_argument("--against", metavar="COMMIT", help="compare with a commit")
    arguments = parser.parse_args()
    if arguments.out is None and arguments.expect is None and arguments.against is None:
        parser.error("give --out FILE, --expect FILE or --against COMMIT")
    return arguments


def prepare_process() -> None:
    """Clear the environment and import what every command needs, once: commands are forks of this process."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update({**kept, **SET_VARIABLES})
    for name in ("accelerate", "albumentations", "segmentation_models_pytorch"):
        with suppress(ImportError):
            import_module(name)
    import torch

    torch.set_num_threads(1)


def unpack(repository: Path, commit: str, folder: Path) -> Path:
    """Write the files of a commit into a new folder; returns that folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=repository, stdout=subprocess.PIPE, check=False)
    if archive.returncode:
        raise CommandFailed(f"git archive {commit}: no such commit")
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


def digests_of_road(tree: Path, work: Path, log: Path) -> Digests:
    """Run every command of the road with the code in `tree`; returns the digests of all that it wrote into `work`."""
    work.mkdir(parents=True)
    work.joinpath(CONFIG).write_text(EVERYTHING.format(smoke=tree / "configs" / "smoke.yaml"), encoding="utf-8")
    started_s = time.monotonic()
    for command in ROAD.replace("\\\n", "").splitlines():
        begun_s = time.monotonic()
        run_command(tree, work, log, command)
        print_line(f"{time.monotonic() - begun_s:5.1f} s  {command}")
    print_line(f"{time.monotonic() - started_s:5.1f} s  in all, {tree}")
    return {"processor": processor(), **digests_of_folder(work)}


# ----- the road: what a user types, in a folder of its own

ROAD = """\
python -m data.phantom --out data --train-patients 6 --test-patients 2 --size 64 --seed 3 --jobs 1
python -m data.folds --root data --out folds --k 3
python -m data.folds --root data --out folds_by_wrist --k 2 --by wrist --seed 5
python -m data.check data --json check.json --sheet check.png
python train.py --config everything.yaml data.root=data data.fold_files=folds run.folder=runs  # stop
python train.py --config everything.yaml data.root=data data.fold_files=folds run.folder=runs --resume
python train.py --config configs/smoke.yaml data.root=data run.folder=runs run.name=folds fold=all
python -m trainer.crossval runs/folds
python -m trainer.thresholds --runs runs/folds --output thresholds.json
python inference.py --run runs/stopped
python inference.py --run runs/folds/fold0 --output views.csv --threshold thresholds.json predict.tta.hflip=true \\
  predict.tta.rotations_deg=[5] predict.windows.size_px=32
python K-fold_ensemble.py --runs runs/folds/fold0 runs/folds/fold1 --weights 1 2 --output soft.csv
python K-fold_ensemble.py --csv views.csv soft.csv runs/stopped/submission.csv --output hard.csv
python -m trainer.soup --weights runs/stopped/checkpoints/best.safetensors runs/stopped/checkpoints/swa.safetensors \\
  --output soup.safetensors
python evaluate.py --prediction hard.csv --truth data/test --json score.json --gallery gallery
python -m trainer.compare soft.csv hard.csv --html compare.html --truth data/test --images data/test/DCM
python -m data.pseudo --csv soft.csv hard.csv --images data/test/DCM --out pseudo --copy
python -m trainer.report --run runs/stopped
"""
STOP = "# stop"
"""Behind a command that is asked to stop as soon as it has saved its first state."""
STOPPED = Path("runs/stopped/checkpoints")


def run_command(tree: Path, work: Path, log: Path, command: str) -> None:
    """Run one command in a fork of this process, which has imported the libraries but nothing of any tree."""
    child = os.fork()
    if not child:
        replace_process(tree, work, log, command)
    stops = command.endswith(STOP)
    if stops:
        stop_after_first_state(child, work / STOPPED)
    code, expected = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 130 if stops else 0
    if code != expected:
        raise CommandFailed(f"{command}: exit code {code}, expected {expected}")


def replace_process(tree: Path, work: Path, log: Path, command: str) -> NoReturn:
    """Turn this forked process into the command, and end with its exit code."""
    code = 1
    try:
        with log.open("ab") as file:
            file.write(f"\n$ {command}\n".encode())
            file.flush()
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(work)
        import_from(tree)
        code = execute(tree, shlex.split(command, comments=True)[1:])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def import_from(tree: Path) -> None:
    """Let imports find the modules of `tree` alone."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path[0] = str(tree)


def execute(tree: Path, arguments: Sequence[str]) -> int:
    """Run `-m module …` or `program.py …` as the main module; returns its exit code. Configs are those of the tree."""
    arguments = [str(tree / each) if each.startswith("configs/") else each for each in arguments]
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            runpy.run_path(str(tree / arguments[0]), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def stop_after_first_state(child: int, checkpoints: Path) -> None:
    """Send SIGTERM when the first optimizer step is saved; a child that ends before that is left to its exit code."""
    while not any(checkpoints.glob("state-*.pt")):
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.002)
    os.kill(child, signal.SIGTERM)


# ----- digests


def processor() -> str:
    """What digests depend on besides the code: torch, and which instructions it uses."""
    import torch

    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"


def digests_of_folder(work: Path) -> Digests:
    """The digest of each result by its name in the folder."""
    paths = [path for path in sorted(work.rglob("*")) if path.is_file() and is_result(path.relative_to(work))]
    digests = {str(path.relative_to(work)): DIGESTS[path.suffix](path) for path in paths}
    tensors = {
        f"{path.relative_to(work)} (tensors)": digest_of_tensors(path) for path in paths if path.suffix in TENSORS
    }
    return {**digests, **tensors}


def is_result(name: Path) -> bool:
    return name.suffix in DIGESTS and name.name not in WITHOUT and not WITHOUT_FOLDERS & set(name.parts)


def digest_of_bytes(path: Path) -> str:
    return sha256(path.read_bytes())


def digest_of_csv(path: Path) -> str:
    """Every byte, but of `metrics.csv` every column that no clock has written."""
    if path.name != "metrics.csv":
        return digest_of_bytes(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(file)]
    return sha256(json.dumps(rows).encode())


def digest_of_json(path: Path) -> str:
    """The values and their order, but for times."""
    return sha256(json.dumps(without_times(json.loads(path.read_text(encoding="utf-8")))).encode())


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(each) for key, each in value.items() if key not in TIMES}
    return [without_times(each) for each in value] if isinstance(value, list) else value


def digest_of_html(path: Path) -> str:
    """The numbers of four decimals on a page, in their order: scores. Words, times and pictures may change."""
    return sha256(json.dumps(re.findall(r"-?\b\d\.\d{4}\b", path.read_text(encoding="utf-8"))).encode())


def digest_of_weights(path: Path) -> str:
    """The bytes of a safetensors file and its description, without the digest that it carries itself."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"].pop("carpus"))
    about.pop("digest", None)
    return sha256(json.dumps([header, about], sort_keys=True).encode() + data[8 + length :])


def digest_of_tensors(path: Path) -> str:
    """The tensors of a weights file, which also carries the config: a new key changes the file, and not these."""
    from safetensors.torch import load_file

    digest = hashlib.sha256()
    for text in leaves_of(load_file(path)):
        digest.update(text)
    return digest.hexdigest()


def digest_of_state(path: Path) -> str:
    """All values of a training state."""
    import torch

    digest = hashlib.sha256()
    for text in leaves_of(torch.load(path, map_location="cpu", weights_only=True)):
        digest.update(text)
    return digest.hexdigest()


def leaves_of(value: Any, name: str = "") -> Iterator[bytes]:
    """The leaves of nested mappings and lists as bytes, each with its name."""
    import torch

    if isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from leaves_of(value[key], f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, each in enumerate(value):
            yield from leaves_of(each, f"{name}[{place}]")
    elif isinstance(value, torch.Tensor):
        content = value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        yield f"{name} {value.dtype} {tuple(value.shape)}\n".encode() + content
    else:
        yield f"{name} {value!r}\n".encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


DIGESTS: dict[str, Callable[[Path], str]] = {
    ".csv": digest_of_csv,
    ".html": digest_of_html,
    ".json": digest_of_json,
    ".png": digest_of_bytes,
    ".pt": digest_of_state,
    ".safetensors": digest_of_weights,
    ".yaml": digest_of_bytes,
}
TENSORS = (".safetensors",)


# ----- comparison


def differences(before: Digests, after: Digests) -> list[str]:
    """A line for each name whose digest is not the same in both."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            lines.append(f"only before: {name}")
        elif name not in before:
            lines.append(f"only after:  {name}")
        elif before[name] != after[name]:
            lines.append(f"different:   {name}")
    return lines


def print_differences(lines: Sequence[str], compared: int) -> int:
    print_line("\n".join(lines) if lines else f"equal: all {compared} digests")
    return 1 if lines else 0


def print_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
