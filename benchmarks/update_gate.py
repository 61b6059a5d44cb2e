"""How often does the gate of `update` publish a student that lost exactly the margin? It should in 2.5% of the draws.

    python benchmarks/update_gate.py            # a minute on one core

Parent and child are right or wrong on rows that are drawn at random: a share only the parent has right, a smaller one
only the child. Beside the gate stands what the bootstrap's interval alone would publish.
"""

from __future__ import annotations

import argparse

import numpy as np

MARGIN = 0.02
ROWS = (10, 40, 100, 200, 500, 1500)


def published(rows: int, lost: float, gained: float, draws: int, seed: int = 0) -> tuple[float, float]:
    """Shares of the draws that are published by the bootstrap's interval alone, and by the gate."""
    from reasondistill.contracts.comparison import Difference
    from reasondistill.metrics.statistics import percentile_interval
    from reasondistill.updating.held_figures import held_figure

    generator, plain, gate = np.random.default_rng(seed), 0, 0
    for _ in range(draws):
        cells = generator.multinomial(rows, [lost, gained, 1 - lost - gained])
        resamples = generator.multinomial(rows, cells / rows, size=2000)
        ci95 = percentile_interval((resamples[:, 1] - resamples[:, 0]) / rows)
        difference = (cells[1] - cells[0]) / rows
        pair = Difference(system=0.5 + difference, baseline=0.5, difference=difference, ci95=ci95, n=rows)
        plain += ci95 is not None and ci95[0] >= -MARGIN
        gate += held_figure("label_accuracy", pair, label=None, margin=MARGIN, groups=rows).verdict == "held"
    return plain / draws, gate / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000)
    draws = parser.parse_args().draws
    print("| rows | changed rows | bootstrap alone | the gate |\n|---|---|---|---|")
    for gained in (0.0, 0.03):
        lost = MARGIN + gained
        for rows in ROWS:
            plain, gate = published(rows, lost, gained, draws)
            print(f"| {rows:,} | {lost + gained:.0%} | {plain:.1%} | {gate:.1%} |", flush=True)


if __name__ == "__main__":
    main()
