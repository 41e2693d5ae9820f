from __future__ import annotations

import torch
from torch import nn

from osm.matching.branch import Branch, BridgeHead


def test_the_head_is_that_of_the_paper():
    head = BridgeHead(channels=2048, dimensions=20)
    shapes = [tuple(p.shape) for p in head.parameters()]
    assert shapes == [(128, 2048, 1, 1), (128,), (128, 2048), (128,), (20, 128), (20,)]


def test_the_head_computes_what_its_layers_say():
    torch.manual_seed(0)
    head = BridgeHead(channels=6, dimensions=4)
    maps = torch.randn(3, 6, 8, 8)
    reduced = nn.functional.relu(nn.functional.conv2d(maps, head.reduce.weight, head.reduce.bias))
    cells = reduced.reshape(3, 128, 4, 2, 4, 2).mean(dim=(3, 5)).flatten(1)
    hidden = cells @ head.hidden.weight.T + head.hidden.bias
    expected = hidden @ head.project.weight.T + head.project.bias
    torch.testing.assert_close(head(maps), expected)


def test_embeddings_are_float32_under_autocast_and_maps_keep_the_precision():
    branch = Branch("darknet-narrow", dimensions=20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoded = branch(torch.randn(2, 3, 64, 64))
    assert encoded.logits.dtype == torch.float32
    assert encoded.logits.shape == (2, 20)
    assert ((encoded.cube > 0) & (encoded.cube < 1)).all()
    torch.testing.assert_close(encoded.sphere.norm(dim=1), torch.ones(2))
    assert encoded.maps[5].dtype == torch.bfloat16
    assert encoded.maps[5].shape == (2, 256, 2, 2)


def test_maps_of_other_levels_come_along_by_their_index():
    branch = Branch("darknet-narrow", dimensions=4, levels=(3, 4))
    maps = branch(torch.randn(2, 3, 64, 64)).maps
    assert {level: tuple(whole.shape[1:]) for level, whole in maps.items()} == {
        3: (64, 8, 8),
        4: (128, 4, 4),
        5: (256, 2, 2),
    }


def test_a_normed_head_has_no_constant_over_the_batch():
    head = BridgeHead(channels=6, dimensions=4, norm=True)
    logits = head(torch.randn(8, 6, 8, 8) + 100)
    torch.testing.assert_close(logits.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(logits.var(dim=0, unbiased=False), torch.ones(4), atol=1e-2, rtol=0)


def test_any_size_of_map_gives_the_same_length():
    head = BridgeHead(channels=8, dimensions=5)
    assert [head(torch.randn(1, 8, n, n)).shape for n in (1, 2, 8, 9)] == [(1, 5)] * 4
