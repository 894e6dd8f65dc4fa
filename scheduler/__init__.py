"""Learning-rate schedules, and optimizers with separate learning rates for encoder and decoder."""

from __future__ import annotations

from scheduler.optimizers import OPTIMIZERS
from scheduler.schedule import Horizon, Schedule
from scheduler.schedulers import SCHEDULERS

__all__ = ["OPTIMIZERS", "SCHEDULERS", "Horizon", "Schedule"]
