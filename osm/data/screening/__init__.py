"""Screening of patch pairs: scores, verdicts, and the sheets and the table by which a person changes them."""
