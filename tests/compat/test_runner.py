"""The log of a run outlives whoever configures logging in the middle of it."""

import logging.config

from osm.compat.runner import open_log


def test_a_log_goes_on_after_logging_was_configured_anew(tmp_path):
    logger = open_log(tmp_path / "a.log")
    logger.info("before")
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    logger.info("after")
    text = (tmp_path / "a.log").read_text()
    assert "before" in text
    assert "after" in text
