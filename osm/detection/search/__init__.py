"""Searching scenes of any size for ships: streamed from disk, merged across seams, placed on the ground."""
