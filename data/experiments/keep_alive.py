"""How long should a warm pool wait for the next job?

Jobs of 10 minutes on one instance each, 400 in a row, simulated. A job that finds a waiting pool
takes the one that has waited longest; else it starts cold, on new instances. Every job leaves its
pool waiting for the keep-alive period. Three patterns, all with 30 minutes on average from the
start of a job to the start of the next: "regular" (every 30 minutes), "random" (a Poisson process)
and "bursts" (ten jobs, each 2 minutes after the end of the one before, then a break).

"reused_K" is the share of jobs that found a pool with a keep-alive of K minutes, "idle_K" the
minutes that pools waited, per job.

Seeds: 0 to 19, for the gaps; "regular" has none and is the same 20 times.

Written before the first run.

Holds, as "no best length for random arrivals": with the random pattern the idle minutes per reused
job differ between any two keep-alive periods of 5 to 60 minutes by less than a fifth, in the mean
over the seeds.

Holds, as "bursts want a short wait": with bursts a keep-alive of 5 minutes reuses at least 0.85 of
the jobs in every seed, and one of 60 minutes waits at least five times as long per reused job.

Holds, as "a schedule wants its gap or nothing": with the regular pattern a keep-alive of 15 minutes
reuses no job, and one of 30 minutes all but the first.

Came out: the third rule holds, "no best length for random arrivals" and "bursts want a short wait"
do not. Random arrivals pay 33.5 idle minutes per reused job with 5 minutes of keep-alive and 46.8
with 60, since jobs overlap and leave several pools. Bursts reuse 0.900 of the jobs either way and
pay 2.6 and 8.7 minutes, 3.4 times as many and not five times.
"""

import numpy as np

PATTERNS = ["regular", "random", "bursts"]
CASES = [{"pattern": pattern, "seed": seed} for pattern in PATTERNS for seed in range(20)]
KEEP_ALIVE = [5, 15, 30, 60]  # minutes
TOLERANCE = {f"{what}_{k}": 0.01 for k in KEEP_ALIVE for what in ("reused", "idle")}
JOBS, LENGTH, CYCLE, BURST, PAUSE = 400, 10.0, 30.0, 10, 2.0  # minutes


def starts(pattern, rng):
    """Return the minutes at which the jobs start, ascending."""
    if pattern == "random":
        return np.cumsum(rng.exponential(CYCLE, JOBS))
    if pattern == "regular":
        return CYCLE * np.arange(JOBS)
    inside = LENGTH + PAUSE
    breaks = CYCLE * BURST - inside * (BURST - 1)
    gaps = np.where(np.arange(1, JOBS) % BURST == 0, 0.0, inside)
    gaps[gaps == 0] = breaks * rng.uniform(0.5, 1.5, (gaps == 0).sum())
    return np.concatenate([[0.0], np.cumsum(gaps)])


def simulate(times, keep_alive):
    """Return the share of jobs that found a pool, and the minutes that pools waited, per job."""
    waiting, reused, idle = [], 0, 0.0  # waiting holds the ends of jobs
    for start in times:
        ended = [end for end in waiting if end + keep_alive < start]
        idle += keep_alive * len(ended)
        waiting = [end for end in waiting if end + keep_alive >= start]
        ready = [end for end in waiting if end <= start]
        if ready:
            reused += 1
            idle += start - min(ready)
            waiting.remove(min(ready))
        waiting.append(start + LENGTH)
    return reused / len(times), (idle + keep_alive * len(waiting)) / len(times)


def run(case):
    """Simulate one pattern with each keep-alive period."""
    times = starts(case["pattern"], np.random.default_rng(case["seed"]))
    row = {}
    for k in KEEP_ALIVE:
        row[f"reused_{k}"], row[f"idle_{k}"] = map(float, simulate(times, k))
    return row


def verdicts(table):
    """Return which rules hold, and the figures behind them."""
    means = table.groupby("pattern").mean(numeric_only=True)
    random, regular = means.loc["random"], means.loc["regular"]
    price = {k: random[f"idle_{k}"] / random[f"reused_{k}"] for k in KEEP_ALIVE}
    bursts = table[table.pattern == "bursts"]
    short = (bursts.idle_5 / bursts.reused_5).mean()
    long = (bursts.idle_60 / bursts.reused_60).mean()
    holds = {
        "no best length for random arrivals": max(price.values()) < 1.2 * min(price.values()),
        "bursts want a short wait": bursts.reused_5.min() >= 0.85 and long >= 5 * short,
        "a schedule wants its gap or nothing": bool(
            regular.reused_15 == 0 and regular.reused_30 >= 1 - 1.5 / JOBS
        ),
    }
    figures = {f"idle minutes per reused job, random, {k}": price[k] for k in KEEP_ALIVE}
    figures |= {"bursts, 5": short, "bursts, 60": long, "bursts, ratio": long / short}
    figures |= {"least reused, bursts": bursts.reused_5.min()}
    return {k: bool(v) for k, v in holds.items()}, {k: float(v) for k, v in figures.items()}
