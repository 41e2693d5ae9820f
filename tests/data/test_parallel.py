from __future__ import annotations

from osm.data.parallel import in_parallel


def test_results_keep_their_order_and_progress_ends_with_all() -> None:
    steps: list[tuple[int, int]] = []
    found = list(in_parallel(lambda item: item * item, range(150), lambda *step: steps.append(step)))
    assert found == [item * item for item in range(150)]
    assert steps == [(0, 150), (64, 150), (128, 150), (150, 150)]
