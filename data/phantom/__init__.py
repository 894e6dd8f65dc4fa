"""Phantom hands: radiographs rendered from real bone anatomy, in the contest's own layout."""
