"""The folder of the project, for tests that start programs or read its files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
