"""Detectors as ONNX files that say what they are, proven against torch and run without it."""
