"""Stage 1: branches, bridge network, objectives and matching metrics."""
