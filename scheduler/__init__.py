"""Learning-rate schedules that know when they step, and optimizers with separate encoder and decoder rates."""

from __future__ import annotations

from scheduler.optimizers import OPTIMIZERS
from scheduler.schedule import Horizon, Schedule
from scheduler.schedulers import SCHEDULERS

__all__ = ["OPTIMIZERS", "SCHEDULERS", "Horizon", "Schedule"]
