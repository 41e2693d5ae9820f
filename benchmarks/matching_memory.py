"""Memory of a process that loads an epoch of pairs from a packed store, against the number of pairs in it.

    python benchmarks/matching_memory.py [--pairs 10000 100000] [--size 64] [--batch 32] [--workers 0] [--folder DIR]

For each number a store of simulated pairs is made (a few patches of ``osm simulate``, shifted and tinted so that no
two are alike), and a fresh process loads one shuffled epoch of all of it through PairDataset, PairSampler and torch's
DataLoader, touching every byte. The largest resident memory of that process is shown, and apart from it the largest
anonymous memory and the largest share of pages of files (libraries among them): pages of a mapped store would appear
there. 110,000 pairs of 64 px take 1.8 GB of disk. The last line is one JSON object; ratio_rss compares the largest
number of pairs with the smallest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SAMPLE_S = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000], help="pairs in the stores")
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels")
    parser.add_argument("--batch", type=int, default=32, help="pairs a batch")
    parser.add_argument("--workers", type=int, default=0, help="processes that read; their memory is not counted")
    parser.add_argument("--folder", type=Path, help="where the stores go for a while; by default the temporary folder")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load is not None:
        print(json.dumps(load_epoch(options.load, options.batch, options.workers)))
        return
    rows = []
    for count in options.pairs:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            root = Path(name) / "packed"
            write_store(root, count, options.size)
            arguments = ["--load", root, "--batch", str(options.batch), "--workers", str(options.workers)]
            ran = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
            rows.append((count, json.loads(ran.stdout.splitlines()[-1])))
    heads = ("pairs", "store MB", "peak RSS MB", "anonymous", "of files", "at start", "pairs/s")
    print("".join(f"{head:>12}" for head in heads))
    for count, row in rows:
        store_mb = count * options.size**2 * 4 / 1e6
        cells = "".join(f"{row[f'{name}_mb']:>12.1f}" for name in ("rss", "anonymous", "files", "start"))
        print(f"{count:>12,}{store_mb:>12,.0f}{cells}{row['pairs_per_s']:>12,.0f}")
    least, most = (end(rows, key=lambda row: row[0])[1] for end in (min, max))
    ratios = {f"ratio_{name}": round(most[f"{name}_mb"] / least[f"{name}_mb"], 3) for name in ("rss", "anonymous")}
    print(json.dumps(ratios))


def write_store(root: Path, count: int, size_px: int) -> None:
    """A packed store as ``osm data pack`` writes it, without a PNG file for each of its pairs."""
    import numpy as np

    from osm.data.pack import CHUNK_PAIRS
    from osm.data.packed import LIST_NAME, OPTICAL_NAME, RECORD_NAME, SAR_NAME, PackedRecord, header
    from osm.data.pairs import read_pairs
    from osm.files import sha256_file, write_json
    from osm.simulate import simulate_pairs

    root.mkdir(parents=True)
    seeds = root.parent / "simulated"
    simulate_pairs(seeds, count=16, size_px=size_px)
    pairs = read_pairs(seeds)
    bases = [pairs.load(index) for index in range(len(pairs))]
    shapes = {SAR_NAME: (count, size_px, size_px), OPTICAL_NAME: (count, size_px, size_px, 3)}
    sums = {}
    for modality, (name, shape) in enumerate(shapes.items()):
        sums[name] = []
        with (root / name).open("wb") as stream:
            stream.write(header(shape))
            for start in range(0, count, CHUNK_PAIRS):
                rows = range(start, min(start + CHUNK_PAIRS, count))
                chunk = b"".join(
                    (np.roll(bases[n % 16][modality], n // 16, axis=1) + np.uint8(n // (16 * size_px))).tobytes()
                    for n in rows
                )
                stream.write(chunk)
                sums[name].append(hashlib.sha256(chunk).hexdigest())
    names = "".join(f"{number}.png\n" for number in range(1, count + 1))
    (root / LIST_NAME).write_text("name\n" + names, encoding="utf-8")
    record = PackedRecord(
        pairs=count,
        width_px=size_px,
        height_px=size_px,
        source="simulated",
        source_pairs=count,
        source_stamp="",
        settings={"keep_constant": False, "keep_duplicates": False},
        dropped=(),
        chunk_pairs=CHUNK_PAIRS,
        names_sha256=sha256_file(root / LIST_NAME),
        sar_sha256=tuple(sums[SAR_NAME]),
        optical_sha256=tuple(sums[OPTICAL_NAME]),
    )
    write_json(root / RECORD_NAME, record.to_json())


def load_epoch(root: Path, batch: int, workers: int) -> dict[str, float]:
    """Load every pair once, in the order of training, and watch this process's memory."""
    from torch.utils.data import DataLoader

    from osm.data.pairs import SplitRule
    from osm.matching.dataset import PairDataset, PairSampler, collate_pairs

    start = memory_mb()
    peak = dict(start)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            for name, value in memory_mb().items():
                peak[name] = max(peak[name], value)

    watcher = threading.Thread(target=watch)
    watcher.start()
    # nearly all pairs in the training part: the epoch reads the whole store but for a thousandth
    dataset = PairDataset(str(root), "train", SplitRule("paper", 0.999))
    sampler = PairSampler(dataset, seed=0, with_partners=True)
    loader = DataLoader(
        dataset, batch_size=batch, sampler=sampler, num_workers=workers, collate_fn=collate_pairs, drop_last=True
    )
    pairs, total, began_s = 0, 0, time.perf_counter()
    for stored in loader:
        pairs += len(stored["index"])
        total += sum(int(stored[name].sum()) for name in ("sar", "optical", "nonmatch"))
    seconds = time.perf_counter() - began_s
    ended.set()
    watcher.join()
    assert pairs == len(dataset) // batch * batch
    assert total > 0
    return {
        # the kernel's own high-water mark, which no sample can miss
        "rss_mb": status_mb("VmHWM"),
        "anonymous_mb": peak["RssAnon"],
        "files_mb": peak["RssFile"],
        "start_mb": start["VmRSS"],
        "pairs_per_s": pairs / seconds,
    }


def memory_mb() -> dict[str, float]:
    return {name: status_mb(name) for name in ("VmRSS", "RssAnon", "RssFile")}


def status_mb(name: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
