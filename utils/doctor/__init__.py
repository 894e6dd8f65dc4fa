"""What may stand in the way on this machine, found before it does: `python -m utils.doctor [--config FILE]`."""
