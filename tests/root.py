"""The folder of the project, for tests that start programs or read its files, and its recipes."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
RECIPES = sorted({*(ROOT / "configs").rglob("*.yaml")} - {ROOT / "configs" / "serve.yaml"})
"""The configs of experiments, and those in `configs/published` that they extend."""
