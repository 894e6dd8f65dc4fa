"""Find everything that is wrong with a data set: `python -m data.check ROOT`."""
