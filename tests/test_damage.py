"""Damaged files end in one line, or are read; never in anything else."""

from collections import Counter

import numpy as np

from tests.damage import Edit, Way, samples


def test_300_damaged_files_are_refused_in_one_line_or_read(tmp_path):
    rng = np.random.default_rng(13)
    outcomes: Counter[str] = Counter()
    for number in range(300):
        sample = samples()[number % len(samples())]
        place, more = (int(value) for value in rng.integers(1 << 40, size=2))
        way, near = list(Way)[rng.integers(len(Way))], bool(rng.integers(2))
        edits = [Edit(way, place, more, near), Edit(Way.BITS, more, place)][: 1 + number % 2]
        outcomes[sample.outcome(edits, tmp_path / str(number), which=place)] += 1
    assert outcomes['refused'] > 80
    assert outcomes['read'] > 80
