"""The page of surprises takes its claims, verdicts and pictures from the chapters."""

import re
import sys

import pytest
from notebooks import ROOT

sys.path.append(str(ROOT / "_ext"))

import surprises

PAGE = (ROOT / "reference/surprises.md").read_text(encoding="utf8")


def test_a_dozen_claims_have_a_picture_and_none_is_simply_right():
    entries = surprises.ENTRY.findall(PAGE)
    assert len({claim for claim, _ in entries}) == len(entries) == 12 == PAGE.count("\n## ")
    text = surprises.filled(ROOT, PAGE)
    assert text.count("<figure>") == 12 and "[[" not in text and 'alt=""' not in text
    verdicts = re.findall(r"(?m)^\*\*(Right when|Wrong|Dated|Not reproduced)", text)
    assert len(verdicts) == 12


def test_an_entry_shows_claim_picture_and_verdict():
    shown = surprises.entry(ROOT, "144-02", "fig-144-moved")
    assert shown.startswith("Often said: *“CNNs are invariant to location")
    assert '<img src="../_images/fig-144-moved.png" alt="Accuracy against the column' in shown
    assert "**Right when global max pooling follows" in shown
    assert "(../chapters/144_convolutional_neural_networks.ipynb#claim-144-02)" in shown


@pytest.mark.parametrize(
    ("claim", "figure", "problem"),
    [
        ("144-99", "fig-144-moved", "no written chapter has the claim 144-99"),
        ("144-02", "fig-144-none", "no chapter has the figure fig-144-none"),
    ],
)
def test_an_entry_without_source_is_refused(claim, figure, problem):
    with pytest.raises(ValueError, match=f"^{problem}$"):
        surprises.entry(ROOT, claim, figure)
