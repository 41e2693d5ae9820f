"""A thin Darknet for demonstrations: the plan of Darknet-53, a fortieth of its parameters."""

from __future__ import annotations

from typing import Any, ClassVar

from mmdet.models.backbones.darknet import Darknet
from mmdet.registry import MODELS


@MODELS.register_module()
class NarrowDarknet(Darknet):
    """mmdet's Darknet with fewer and thinner blocks: 20 convolutions, 32 to 256 channels.

    It shares the names of modules with Darknet-53, so that whatever handles one handles the other. No
    published weights exist for it.
    """

    arch_settings: ClassVar[dict[int, Any]] = {
        20: ((1, 1, 2, 2, 1), ((32, 32), (32, 48), (48, 64), (64, 128), (128, 256)))
    }

    def __init__(self, **settings: Any) -> None:
        super().__init__(depth=20, **settings)
