"""Simulate the card transactions of chapters 150 to 159 into transactions.csv.

Run `python make_transactions.py` in this folder. The same pins give the same table.

Nothing here was taken from real cards. Customers pay by habit, at their own rate and level. Some of
their cards fall into a thief's hands for a day or two, who shops online, abroad or at random, in
one of three ways. Honest customers travel, change their phones and buy expensive things as well, so
no rule tells the two apart for certain.
"""

from pathlib import Path

import numpy as np
import pandas as pd

N_CUSTOMERS, N_DAYS = 1600, 90
MERCHANTS = [
    "groceries",
    "restaurant",
    "fuel",
    "clothing",
    "travel",
    "electronics",
    "jewellery",
    "gift cards",
]
LEVEL = [3.3, 3.2, 3.8, 4.0, 5.2, 5.0, 5.3, 3.9]  # mean of the log of an amount in euros
HONEST = [0.36, 0.21, 0.13, 0.12, 0.06, 0.06, 0.02, 0.04]
ONLINE = [0.10, 0.15, 0.01, 0.45, 0.70, 0.60, 0.25, 0.70]
# three kinds of theft: (shares of the merchants, online, abroad, factor on the amount)
THEFTS = {
    "shopping": ([0.02, 0.03, 0.01, 0.15, 0.09, 0.45, 0.10, 0.15], 0.95, 0.20, 2.2),
    "abroad": ([0.10, 0.20, 0.12, 0.18, 0.15, 0.15, 0.08, 0.02], 0.05, 0.90, 1.5),
    "testing": ([0.10, 0.10, 0.05, 0.20, 0.05, 0.10, 0.02, 0.38], 0.85, 0.30, 0.25),
}
BY_DAY = np.repeat([0.15, 0.6, 1.0, 0.45], [6, 2, 14, 2])  # hours of an honest customer
BY_NIGHT = np.repeat([2.0, 1.0], [6, 18])


def honest(rng, customers):
    """Return the customers' own transactions as a DataFrame without order.

    customers holds one row each: rate (transactions a day), level (log factor on amounts), old
    (days since opening).
    """
    n = rng.poisson(customers.rate * N_DAYS)
    who = np.repeat(np.arange(len(customers)), n)
    size = len(who)
    merchant = rng.choice(len(MERCHANTS), size, p=HONEST)
    online = rng.random(size) < np.take(ONLINE, merchant)
    # one holiday of a week for half of the customers
    leaves = np.where(
        rng.random(len(customers)) < 0.5, rng.integers(0, N_DAYS, len(customers)), N_DAYS + 9
    )
    day = rng.integers(0, N_DAYS, size)
    away = (day >= leaves[who]) & (day < leaves[who] + 7) & ~online
    amount = rng.normal(np.take(LEVEL, merchant) + customers.level.to_numpy()[who], 0.7)
    return pd.DataFrame(
        {
            "customer": who,
            "minute": day * 1440 + clock(rng, size, BY_DAY),
            "amount": np.exp(amount),
            "merchant": merchant,
            "online": online,
            "abroad": away | (rng.random(size) < 0.01),
            "new_device": rng.random(size) < 0.04,
            "fraud": 0,
        }
    )


def clock(rng, size, shares):
    """Return minutes of the day, the hours drawn in proportion to these 24 shares."""
    return rng.choice(24, size, p=shares / shares.sum()) * 60 + rng.integers(0, 60, size)


def stolen(rng, customers, n_thefts):
    """Return the thieves' transactions as a DataFrame without order; each theft is a burst within
    two days.
    """
    rows = []
    for who in rng.choice(len(customers), n_thefts, replace=False):
        kind = rng.choice(list(THEFTS), p=[0.5, 0.25, 0.25])
        shares, online, abroad, factor = THEFTS[kind]
        first = rng.integers(0, N_DAYS - 1)
        for _ in range(1 + rng.geometric(0.45)):
            merchant = rng.choice(len(MERCHANTS), p=shares)
            is_online = rng.random() < online
            level = LEVEL[merchant] + 0.5 * customers.level[who] + np.log(factor)
            day = first + rng.integers(0, 2)
            rows.append(
                {
                    "customer": who,
                    "minute": day * 1440 + clock(rng, 1, BY_NIGHT)[0],
                    "amount": np.exp(rng.normal(level, 0.6)),
                    "merchant": merchant,
                    "online": is_online,
                    "abroad": rng.random() < abroad,
                    "new_device": rng.random() < (0.75 if is_online else 0.1),
                    "fraud": 1,
                }
            )
    return pd.DataFrame(rows)


def recent(minutes):
    """Return how many of one customer's minutes, in order, lie within 24 hours before each."""
    m = minutes.to_numpy()
    return np.searchsorted(m, m, "left") - np.searchsorted(m, m - 1440, "left")


def make(seed=0):
    """Return the transactions as a DataFrame in the order of time, with the columns of
    data/README.md.
    """
    rng = np.random.default_rng(seed)
    customers = pd.DataFrame(
        {
            "rate": rng.gamma(1.5, 0.088, N_CUSTOMERS),
            "level": rng.normal(0, 0.35, N_CUSTOMERS),
            "old": np.round(rng.gamma(1.2, 900, N_CUSTOMERS)),
        }
    )
    table = pd.concat([honest(rng, customers), stolen(rng, customers, 105)])
    table = table.sort_values(["minute", "customer"], ignore_index=True)
    n = len(table)
    table["day"], table["hour"] = table.minute // 1440 + 1, table.minute % 1440 // 60
    table["merchant"] = np.take(MERCHANTS, table.merchant)
    table["amount"] = table.amount.clip(0.5).round(2)
    before = table.groupby("customer").amount.expanding().median().groupby(level=0)
    table["usual_amount"] = before.shift().droplevel(0).sort_index().round(2)
    table["last_24h"] = table.groupby("customer").minute.transform(recent)
    channel = np.where(rng.random(n) < 0.6, "contactless", "chip")
    table["channel"] = np.where(table.online, "online", channel)
    away = np.where(table.abroad, rng.gamma(2, 900, n), rng.gamma(1.2, 12, n))
    table["distance_km"] = np.where(table.online, np.nan, away.round(1))
    seen = np.where(table.new_device, rng.gamma(1, 1.5, n), rng.gamma(2, 200, n))
    known = table.online & (rng.random(n) > 0.1 + 0.15 * table.fraud)
    table["device_days"] = np.where(known, seen.round(1), np.nan)
    table["country"] = np.where(table.abroad, "abroad", "home")
    table["account_days"] = customers.old.to_numpy()[table.customer] + table.day
    table.loc[rng.random(n) < 0.05, "account_days"] = np.nan
    return table[
        [
            "day",
            "hour",
            "customer",
            "amount",
            "usual_amount",
            "merchant",
            "channel",
            "country",
            "distance_km",
            "device_days",
            "account_days",
            "last_24h",
            "fraud",
        ]
    ]


if __name__ == "__main__":
    target = Path(__file__).with_name("transactions.csv")
    make().to_csv(target, index=False, lineterminator="\n")
