"""From the head's output to detections."""

import pytest
import torch

from osm.detection.yolov3u.detector import SearchSettings, YOLOv3uDetector, select


def random_output(seed, count=200):
    generator = torch.Generator().manual_seed(seed)
    centre = 100 * torch.rand(2, count, generator=generator)
    size = 5 + 30 * torch.rand(2, count, generator=generator)
    return torch.cat([centre, size, torch.rand(1, count, generator=generator)])


def test_the_surer_of_two_boxes_stays_and_the_unsure_goes():
    found = torch.tensor([[50, 50, 40, 20, 0.9], [52, 50, 40, 20, 0.8], [90, 90, 10, 10, 0.5], [10, 10, 5, 5, 0.005]]).T
    boxes, scores = select(found, SearchSettings())
    assert boxes.tolist() == [[30, 40, 70, 60], [85, 85, 95, 95]]
    assert scores.tolist() == pytest.approx([0.9, 0.5])


def test_both_limits_keep_the_surest():
    found = random_output(0)
    scores = found[4].sort(descending=True).values
    _, kept = select(found, SearchSettings(nms_iou=1.0, max_per_img=7))
    assert torch.equal(kept, scores[:7])
    _, kept = select(found, SearchSettings(nms_iou=1.0, nms_pre=5))
    assert torch.equal(kept, scores[:5])


def test_nothing_found_is_nothing():
    boxes, scores = select(torch.zeros(5, 20), SearchSettings())
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_ultralytics_own_suppression(seed, needs_ultralytics):
    from osm.compat.ultralytics_scope import ultralytics_scope

    with ultralytics_scope():
        from ultralytics.utils.nms import non_max_suppression
    found = random_output(seed)
    settings = SearchSettings(score_thr=0.1, nms_iou=0.45)
    boxes, scores = select(found, settings)
    (theirs,) = non_max_suppression(
        found[None], conf_thres=settings.score_thr, iou_thres=settings.nms_iou, max_det=100, max_time_img=60.0
    )
    assert torch.allclose(boxes, theirs[:, :4], atol=1e-4)
    assert torch.equal(scores, theirs[:, 4])


def test_a_batch_of_tiles_gives_a_sample_each_and_the_keys_are_the_networks():
    network = torch.nn.Conv2d(3, 5, 1)
    network.forward = lambda images: (images.mean((2, 3))[:, :1, None].expand(-1, 5, 4) * 100, None)
    detector = YOLOv3uDetector(network, SearchSettings())
    tiles = [torch.zeros(3, 8, 8, dtype=torch.uint8), torch.full((3, 8, 8), 255, dtype=torch.uint8)]
    dark, bright = detector.test_step({"inputs": tiles})
    assert len(dark.pred_instances.bboxes) == 0
    # values divided by 255, and four equal boxes are one
    assert bright.pred_instances.bboxes.tolist() == [[50, 50, 150, 150]]
    assert set(detector.state_dict()) == {"weight", "bias"}
