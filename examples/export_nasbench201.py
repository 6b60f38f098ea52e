"""Exports the test accuracies of NAS-Bench-201 from NATS-Bench (TSS) to the CSV that the documentation compares on.

Unpack `NATS-tss-v1_0-3ffb9-simple.tar` (see https://github.com/D-X-Y/NATS-Bench), `pip install nats_bench`, and

    python examples/export_nasbench201.py NATS-tss-v1_0-3ffb9-simple nasbench201_test_accuracy.csv.gz
"""

from __future__ import annotations

import csv
import gzip
import sys

DATASETS = ("cifar10", "cifar100")


def main(folder: str, out: str) -> None:
    """Writes a row for each architecture: its string, and test accuracies in percent after 200 epochs, over seeds."""
    from nats_bench import create

    api = create(folder, "tss", fast_mode=True, verbose=False)
    with gzip.open(out, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["architecture", *(f"{name}_test_accuracy_percent" for name in DATASETS)])
        for index in range(len(api)):
            found = [api.get_more_info(index, name, hp="200", is_random=False)["test-accuracy"] for name in DATASETS]
            writer.writerow([api.arch(index), *(f"{value:.4f}" for value in found)])


if __name__ == "__main__":
    main(*sys.argv[1:3])
