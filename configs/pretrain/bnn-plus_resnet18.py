# The bridge network without its plateau: batch norm at the end of the heads, and every other patch of the batch as a
# non-match. On 512 real pairs, after 12 epochs at 64 px, AUC on another region was 0.84 with both and AdamW, and 0.50
# with the published head, negatives and optimiser (docs/studies/matching.md).
_base_ = "bnn_resnet18.py"

model = dict(loss=dict(negatives="all"), head_norm=True)
