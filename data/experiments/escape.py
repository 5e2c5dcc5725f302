"""Does the noise of small batches carry training out of the worse of two minima, and does it stay
in the better one?

One weight x with the loss x^4 - 2 x^2 + 0.4 x: a worse minimum near 0.95, a better one near -1.05,
a barrier between them. Each example adds a slope of its own, drawn anew from a normal distribution
with mean 0 and standard deviation 8, so the mean slope of a batch of B has a standard deviation of
8 / sqrt(B). Batches of 1 to 256 and, as "all", the slope without noise; learning rates 0.0125,
0.025 and 0.05, for rate times steps = 100; 400 weights a run. x is kept between -2 and 2, which a
single example can exceed.

The column is the share of the weights that end in the better half, x below the top of the barrier
(x = 0.10).

Seeds: 0 to 9, for the slopes.

Written before the first run. Shares are means over the seeds.

Holds, as "small batches escape more often": from the worse minimum with rate 0.05, the share at 4
is more than 0.2 above that at 64.

Holds, as "there is too much noise": with rate 0.05, the share at 1 is more than 0.1 below that at
4.

Holds, as "noise also leaves the better minimum": started in the better one, with rate 0.05, more
than 0.1 of the weights end in the worse half at some batch size above 1.

Holds, as "rate and batch act through their ratio": wherever two pairs of rate and batch size of 2
or more have the same ratio and the same start, their shares differ by less than 0.1.

Holds, as "without noise nothing escapes": with "all", no weight changes its half.

Came out: all hold. From the worse minimum with the largest rate, 0.62 end in the better half with
batches of 1, 0.85 with 4, 0.95 with 8, 0.13 with 16 and none with 32 or more; pairs with the same
ratio differ by 0.02 at most.
"""

import numpy as np

BATCHES = ["1", "2", "4", "8", "16", "32", "64", "128", "256", "all"]
STARTS = {"worse": 0.95, "better": -1.05}
RATES = [0.05, 0.025, 0.0125]
CASES = [
    {"rate": rate, "batch": batch, "start": start, "seed": seed}
    for rate in RATES
    for start in STARTS
    for batch in BATCHES
    for seed in range(10)
]
TOLERANCE = {"better": 0.03}
TOP, SPREAD, BUDGET, WEIGHTS = 0.10, 8.0, 100, 400


def run(case):
    """Return the share of weights that end in the better half."""
    rng, x = np.random.default_rng(case["seed"]), np.full(WEIGHTS, STARTS[case["start"]])
    spread = 0 if case["batch"] == "all" else SPREAD / int(case["batch"]) ** 0.5
    for _ in range(round(BUDGET / case["rate"])):
        slope = 4 * x**3 - 4 * x + 0.4 + spread * rng.standard_normal(WEIGHTS)
        x = np.clip(x - case["rate"] * slope, -2, 2)
    return {"better": float((x < TOP).mean())}


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    table = table.astype({"batch": str})
    means = table.groupby(["start", "rate", "batch"]).better.mean()
    worse, better = means["worse", 0.05], means["better", 0.05]
    groups = {}
    for (start, rate, batch), share in means.items():
        if batch not in ("1", "all"):
            groups.setdefault((start, rate / int(batch)), []).append(share)
    apart = max(max(shares) - min(shares) for shares in groups.values())
    left = 1 - better.drop(["1", "all"])
    figures = {f"from the worse, {batch}": worse[batch] for batch in BATCHES}
    figures |= {f"from the better, {batch}": better[batch] for batch in BATCHES}
    figures |= {"same ratio, furthest apart": apart, "most that leave the better": left.max()}
    holds = {
        "small batches escape more often": worse["4"] > worse["64"] + 0.2,
        "there is too much noise": worse["1"] < worse["4"] - 0.1,
        "noise also leaves the better minimum": left.max() > 0.1,
        "rate and batch act through their ratio": apart < 0.1,
        "without noise nothing escapes": all(
            means["worse", rate, "all"] == 0 and means["better", rate, "all"] == 1 for rate in RATES
        ),
    }
    return holds, figures
