"""What is wrong with a data set, all of it at once; `python -m data.check ROOT` tells it."""
