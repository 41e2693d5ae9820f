"""Screening of patch pairs: what is measured, the verdicts, and the sheets and the table by which a person changes them."""
