"""mmengine's default scope, which one Runner leaves behind for whatever is built next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

_COUNTER = itertools.count()


@contextmanager
def mmdet_scope() -> Iterator[None]:
    """Build what is inside from mmdet's registries, whichever Runner ran before in this process."""
    from mmengine.registry import DefaultScope

    if DefaultScope.get_current_instance() is None:
        DefaultScope.get_instance(f"osm-{next(_COUNTER)}", scope_name="mmdet")
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield
