"""Looking at scenes and what was found in them, in a browser on this machine."""
