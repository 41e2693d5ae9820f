"""How well two CSS colours can be told apart."""

from __future__ import annotations


def channels(colour):
    return [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]


def luminance(colour):
    """Relative luminance after WCAG 2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
