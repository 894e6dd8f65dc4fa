"""Class names that every transform accepts: those of a hand's bones."""

from __future__ import annotations

CARPALS = ("Trapezium", "Trapezoid", "Capitate", "Hamate", "Scaphoid", "Lunate", "Triquetrum", "Pisiform")
HAND = (*(f"finger-{number}" for number in range(1, 20)), *CARPALS, "Radius", "Ulna")
