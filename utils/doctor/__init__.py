"""Check this machine for what may stop a training run: `python -m utils.doctor [--config FILE]`."""
