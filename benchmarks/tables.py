"""The table of benchmarks by name, in the order of training, prediction and submission, with the required ratios."""

from __future__ import annotations

from functools import partial

from benchmarks import cutouts, passes, publish, steps, submissions, training
from benchmarks.pair import Pair

_ALL = (
    Pair("sample_2048", "PNG + JSON → augmented tensors, native size", partial(steps.sample, shrink=1), faster=35),
    Pair("sample_1024", "the same at half of it", partial(steps.sample, shrink=2), faster=25),
    Pair("loader_2048", "samples of native size through two workers", training.loader, faster=35, rounds=1),
    Pair("fill", "29 polygons → mask", steps.fill, faster=60),
    Pair("label", "JSON file → mask", steps.label),
    Pair("encode", "29 masks → RLE", steps.encode, faster=40),
    Pair("encode_coco", "29 masks → RLE, beside pycocotools", steps.encode_coco, faster=6, rounds=25),
    Pair("decode", "29 RLE → masks", steps.decode, faster=10, rounds=25),
    Pair("dice", "Dice of 29 masks", steps.dice, faster=12),
    Pair("validation", "a scoring of all images", passes.validation, faster=5, smaller=8, rounds=1),
    Pair("inference", "all images → CSV, without the network's time", passes.inference, faster=15, smaller=8, rounds=3),
    Pair("ensemble", "the soft ensemble of three → CSV, without the networks' time", passes.ensemble, rounds=3),
    Pair("thresholds", "Dice of 29 classes at ten thresholds", steps.thresholds, rounds=1),
    Pair("postprocess", "29 masks: largest piece kept, holes filled", steps.postprocess),
    Pair("vote", "the hard vote of five CSVs of 8 images", submissions.vote, faster=39, rounds=3),
    Pair("evaluate", "a CSV's score against another, 8 images", submissions.evaluate, rounds=3),
    Pair("compare", "where two CSVs differ, 8 images", submissions.compare, rounds=3),
    Pair("loss", "Dice + BCE forward and backward, beside smp", training.loss, faster=1, smaller=1 / 0.6, rounds=3),
    Pair(
        "data_wait",
        "share of training spent waiting for data",
        training.data_wait,
        at_most=0.03,
        unit="share",
        rounds=1,
    ),
    Pair(
        "cutout_step",
        "a training step of u2netp, 8 photographs of 320 px",
        cutouts.training_step,
        faster=1.3,
        rounds=3,
    ),
    Pair("cutout", "8 photographs → cut-outs as PNG, with the network", cutouts.cut_out, faster=1.5, rounds=3),
    Pair("publish", "an event sent to the team, in the training thread", publish.publish, at_most=50e-6, rounds=1),
)

PAIRS = {pair.name: pair for pair in _ALL}
