"""The glossary: sorted, each entry taught where it says, nothing dead; and the concept maps."""

import re
import sys

import nbformat
import pytest
import small
from notebooks import CHAPTERS, ROOT, read

sys.path.append(str(ROOT / "_ext"))

import concept_maps
import glossary
from practice_exam import slug

ENTRIES = glossary.read(ROOT)
# the links of the notes from which the course began
NOTES = """Activation-Functions AMT Backpropagation BERT CloudWatch CNN CNN-Architecture
    Confusion-Matrix Deep-Learning-Containers Deep-Learning-Fundamentals DeepSpeed
    Distributed-Training Dropout EC2-GPU-Instances EC2-Instances EFA Fine-Tuning GPU-Instances
    Gradient-Problems GRU Horovod Hugging-Face Hyperparameter-Tuning Image-Classification Jupyter
    Keras L1-L2-Regularization LLM-Training LSTM Max-Pooling MiCS MLOps Model-Evaluation-Metrics
    MXNet Neural-Network-Types Neural-Networks Overfitting P4de-Instances Precision-Recall PyTorch
    PyTorch-DDP Regularization ReLU ResNet RNN RNN-Architecture ROC-Curve S3 SageMaker-AMT
    SageMaker-Autopilot SageMaker-Clarify SageMaker-DDP SageMaker-Debugger
    SageMaker-Distributed-Training SageMaker-DLC SageMaker-Experiments SageMaker-Model-Registry
    SageMaker-MPP SageMaker-Notebooks SageMaker-Studio SageMaker-Training-Compiler SHAP
    Sharded-Data-Parallelism TensorBoard TensorFlow Training-Infrastructure Training-Jobs
    Transfer-Learning Transformers Vanishing-Gradient""".split()


def place_in_order(term):
    """Return by what a term is sorted: its letters and figures, anything else counts as a space."""
    return " ".join(re.findall("[a-z0-9]+", term.casefold()))


def sections(notebook):
    """Return {anchor: text} of the sections of a notebook, code included; "" is the title."""
    found, above = {"": ""}, []
    for cell in notebook.cells:
        heading = re.match(r"(#+) (.+)", cell.source)
        if heading and cell.cell_type == "markdown":
            level = len(heading[1])
            if level == 1:
                found[""] = heading[2]
            above = [one for one in above if one[0] < level] + [(level, slug(heading[2]))]
        for _, anchor in above:
            found[anchor] = f"{found.get(anchor, '')}\n{cell.source}"
    return found


def names(text, term):
    """Return whether a text has all words of a term, in one form or another."""
    words = re.findall(r"[^\W_]{2,}", re.sub(r"\(.*\)", "", term.replace("²", "-squared")).lower())
    text = text.replace("²", "-squared").lower()
    return all(word[: max(4, len(word) - 3)] in text for word in words)


def faults(found, pages):
    """Yield what is wrong with entries, a list; `pages` are the sections of the pages that teach,
    {path from `reference` without suffix: {anchor: text}}.
    """
    by_term = {one.term: one for one in found}
    for before, one in zip([None, *found], found, strict=False):
        if before and before.term == one.term:
            yield f"{one.term} stands twice"
        elif before and place_in_order(before.term) > place_in_order(one.term):
            yield f"{one.term} stands behind {before.term}"
        if "$" in one.text:
            yield f"{one.term} has a formula, which its hover text cannot show"
        for other in set(one.others) - set(by_term):
            yield f"{one.term} leads to {other}, which is no entry"
        if not one.others and not one.places:
            yield f"{one.term} has no link to where it is taught"
        other_names = [one.term] + [alias.term for alias in found if one.term in alias.others]
        for page, anchor in one.places:
            text = pages.get(page, {}).get(anchor)
            if text is None:
                yield f"{one.term} is taught at {page}#{anchor}, which is no section"
            elif not any(names(text, name) for name in other_names):
                yield f"{one.term} is not named at {page}#{anchor}"


def lacking(wanted, found):
    """Yield the terms, written With-Hyphens, that are neither a heading of an entry nor named in
    one.
    """
    text = "\n".join(f"{one.term}\n{one.plain}" for one in found)
    for term in wanted:
        words = r"\W+(?:and )?".join(re.sub("s$", "", word) for word in term.split("-"))
        if not re.search(rf"\b{words}(?:s|es)?\b", text, re.I):
            yield f"{term} cannot be found"


def test_entries():
    pages = {f"../chapters/{path.stem}": sections(read(path)) for path in CHAPTERS}
    beyond = "beyond_the_lectures"
    pages[beyond] = sections(read(ROOT / f"reference/{beyond}.ipynb"))
    assert list(faults(ENTRIES, pages)) == []


def test_terms_of_the_notes():
    assert len(NOTES) == 70
    assert list(lacking(NOTES, ENTRIES)) == []


GLOSSARY = """# Glossary

### Adam

A rule. [142](../chapters/142_a.ipynb#one)

### Head (of a network)

The end. [142](../chapters/142_a.ipynb)

### SGD

See [Adam](#adam).
"""
PAGES = {"../chapters/142_a": {"": "142. Heads of Adam", "one": "Adam", "two": "Adams"}}


@pytest.mark.parametrize(
    "old, new, sentences",
    [
        ("### SGD", "### Adam", ["Adam stands behind Head (of a network)"]),
        ("### Head (of a network)", "### Adam", ["Adam stands twice"]),
        ("A rule.", "A $rule$.", ["Adam has a formula, which its hover text cannot show"]),
        ("[Adam]", "[Eve]", ["SGD leads to Eve, which is no entry"]),
        ("[142](../chapters/142_a.ipynb#one)", "", ["Adam has no link to where it is taught"]),
        ("#one", "#ten", ["Adam is taught at ../chapters/142_a#ten, which is no section"]),
        (
            "142_a.ipynb)",
            "142_b.ipynb)",
            ["Head (of a network) is taught at ../chapters/142_b#, which is no section"],
        ),
        ("ipynb)", "ipynb#two)", ["Head (of a network) is not named at ../chapters/142_a#two"]),
    ],
)
def test_a_wrong_entry_is_found(old, new, sentences):
    assert list(faults(glossary.entries(GLOSSARY), PAGES)) == []
    found = list(faults(glossary.entries(GLOSSARY.replace(old, new, 1)), PAGES))
    assert found == sentences


def test_a_section_may_have_another_name_of_a_term():
    pages = {"../chapters/142_a": {"": "142. Heads", "one": "SGD", "two": ""}}
    assert list(faults(glossary.entries(GLOSSARY), pages)) == []


def test_a_term_that_cannot_be_found_is_told():
    found = glossary.entries(GLOSSARY)
    assert list(lacking(["Adam", "Network-Heads", "SGDs", "RMSprop"], found)) == [
        "Network-Heads cannot be found",
        "RMSprop cannot be found",
    ]


def test_sections_of_a_notebook():
    one = small.text("# 142. A\n\nLead.", "a")
    cells = [
        one,
        small.text("## One, two", "b"),
        small.code("x = 1", "c"),
        small.text("### 3", "d"),
    ]
    assert sections(nbformat.v4.new_notebook(cells=cells)) == {
        "": "142. A",
        "142-a": "\n# 142. A\n\nLead.\n## One, two\nx = 1\n### 3",
        "one-two": "\n## One, two\nx = 1\n### 3",
        "3": "\n### 3",
    }


@pytest.mark.parametrize(
    "text, found",
    [
        ("learning curves, GPUs and a learning rate", ["Learning curve", "GPU", "Learning rate"]),
        ("Cohen’s kappa, a 1 × 1 convolution", ["Cohen's kappa", "1 × 1 convolution"]),
        ("bfloat16 and early-stopping", ["bf16"]),  # another name; a word of every day
        ("a gpu, an AMTS, efas", []),  # capitals behind the first letter stay
        ("The learning. Curve of an all, reduce", []),  # not across a sentence
    ],
)
def test_mentions(text, found):
    names = glossary.index(ENTRIES)
    assert [entry.term for _, _, entry in glossary.mentions(text, names)] == found


def test_words_that_are_not_linked_are_terms():
    assert glossary.COMMON <= {one.term for one in ENTRIES}


MAP = """
| term | rests on | why |
|---|---|---|
| [A](glossary.md#a) | – | so |
| [B & c](x.ipynb#b) | A | so |
| [D](glossary.md#d) | A; B & c | so |
"""


def test_a_map_is_drawn():
    table = concept_maps.TABLE.search(MAP)[0]
    assert concept_maps.levels(concept_maps.terms(table)) == [["A"], ["B & c"], ["D"]]
    drawn = concept_maps.with_figures(f"## One\n{MAP}")
    assert drawn.index("<svg") < drawn.index("| term |")
    assert drawn.count("<a href") == 3 and drawn.count('<path d="M200') == 3
    assert '<a href="x.html#b">' in drawn and ">B &amp; c</text>" in drawn


def test_a_full_level_goes_on_in_the_next():
    found = {name: ("", ["a"] if name > "a" else []) for name in "abcdef"}
    assert concept_maps.levels(found) == [["a"], ["b", "c", "d", "e"], ["f"]]


def test_a_map_that_rests_on_nothing_known_is_refused():
    with pytest.raises(KeyError, match="'E'"):
        concept_maps.terms(MAP.replace("| A |", "| E |"))
