"""The sums of a loss over pixels, and their slope, as one kernel each on CUDA."""
