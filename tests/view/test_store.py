"""What is kept between requests."""

from __future__ import annotations

import threading
import time

import pytest

from osm.view.store import Store


def test_the_least_used_goes_first_and_the_sum_stays_below_the_limit():
    store = Store(10, len)
    made = []

    def get(key, size):
        return store.get(key, lambda: made.append(key) or key * size)

    for key in "abc":
        get(key, 4)
        assert store.total <= 10
    get("b", 4)
    get("a", 4)
    assert made == ["a", "b", "c", "a"]
    # one that is larger than the limit stays alone
    assert len(get("d", 50)) == 50
    assert store.total == 50


def test_of_several_threads_one_makes_the_value():
    store, made = Store(3), []

    def make():
        time.sleep(0.05)
        made.append(1)
        return "value"

    threads = [threading.Thread(target=store.get, args=("key", make)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_what_fails_is_tried_again():
    store = Store(3)
    with pytest.raises(ZeroDivisionError):
        store.get("key", lambda: 1 / 0)
    assert store.get("key", lambda: 5) == 5
