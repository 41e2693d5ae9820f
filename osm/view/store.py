"""What is kept in memory between requests, by size or by number, the least used thrown out first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Store(Generic[Value]):
    """A bounded memory, safe to use from several threads.

    Args:
        limit: Sum of the sizes to keep; the newest entry always stays.
        size: Size of a value; one each if not given, so that ``limit`` is a number of values.
    """

    def __init__(self, limit: int, size: Callable[[Value], int] = lambda value: 1) -> None:
        self._limit, self._size = limit, size
        self._kept: OrderedDict[Hashable, Value] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made if need be; of several threads that want the same one makes it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            self._put(key, value)
            return value

    def _put(self, key: Hashable, value: Value) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = value
            self._total += self._size(value)
            while self._total > self._limit and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._total -= self._size(old)

    @property
    def total(self) -> int:
        """Sum of the sizes of what is kept."""
        return self._total
