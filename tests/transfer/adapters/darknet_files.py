"""Files as Darknet writes them."""

import struct
from pathlib import Path

import numpy as np
from mmcv.cnn import ConvModule
from torch import nn

HEADER = struct.pack("<iiiq", 0, 2, 0, 123)  # version 0.2, images seen as int64


def darknet_file(path: Path, module: nn.Module, header: bytes = HEADER, after: int = 0) -> Path:
    """Write what Darknet does: for each convolution biases, scales, means, variances, filters."""
    with path.open("wb") as stream:
        stream.write(header)
        for layer in module.modules():
            if isinstance(layer, ConvModule):
                bn = layer.bn
                for values in (bn.bias, bn.weight, bn.running_mean, bn.running_var, layer.conv.weight):
                    stream.write(values.detach().numpy().astype("<f4").tobytes())
        stream.write(np.ones(after, "<f4").tobytes())
    return path
