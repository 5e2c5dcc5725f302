"""Every data file is what its generator makes, and is described."""

import make_signs
import make_transactions
import numpy as np
import pandas as pd
import pytest
from notebooks import ROOT

DATA = ROOT / "data"


def differences(made, stored):
    """Return the names of arrays that are missing, or not equal."""
    return [
        n
        for n in set(made) | set(stored)
        if n not in made or n not in stored or not np.array_equal(made[n], stored[n])
    ]


def test_signs_are_what_the_generator_makes():
    made, stored = make_signs.make(), dict(np.load(DATA / "signs.npz"))
    assert differences(made, stored) == []
    stored["signs_test"] = stored["signs_test"].copy()
    stored["signs_test"][0, 8, 8, 0] ^= 1
    assert differences(made, stored) == ["signs_test"]


def test_training_and_test_share_no_sign():
    stored = np.load(DATA / "signs.npz")
    train, test = (
        {sign.tobytes() for sign in stored[f"signs_{part}"]} for part in ("train", "test")
    )
    assert len(train) == 300 and len(test) == 150 and not train & test


def test_an_unknown_kind_of_sign_is_refused():
    with pytest.raises(ValueError, match="choose one of"):
        make_signs.draw_sign("detour", 12, 0, 1)


def test_transactions_are_what_the_generator_makes():
    made, stored = make_transactions.make(), pd.read_csv(DATA / "transactions.csv")
    assert differences(dict(made.fillna(-1)), dict(stored.fillna(-1))) == []
    stored.loc[7, "amount"] += 0.01
    assert differences(dict(made.fillna(-1)), dict(stored.fillna(-1))) == ["amount"]


def test_transactions_stand_in_the_order_of_time_and_know_no_future():
    table = pd.read_csv(DATA / "transactions.csv")
    assert len(table) <= 20_000 and table.fraud.mean().round(3) == 0.016
    assert table.day.is_monotonic_increasing
    first = ~table.customer.duplicated()
    assert table.usual_amount.isna().equals(first) and (table[first].last_24h == 0).all()


def test_every_file_is_described():
    described = (DATA / "README.md").read_text(encoding="utf8")
    files = [
        p.name for p in DATA.iterdir() if p.is_file() and p.suffix in {".npz", ".csv", ".yaml"}
    ]
    files += [p.name for p in (DATA / "experiments").glob("*.csv")]
    assert files and [name for name in files if f"`{name}`" not in described] == []
