"""Write g2p.npz, the network of g2p-en 2.1.0 that spells out how English words are pronounced, with
its weights rounded to 16-bit floats.

Run `python make_g2p.py FOLDER` in this folder, where FOLDER holds the unpacked wheel (`pip download
--no-deps g2p-en==2.1.0`, a zip file). The package itself is not imported: that would download
corpora.
"""

import ast
import hashlib
import sys
from pathlib import Path

import numpy as np

WEIGHTS, PROGRAM, HOMOGRAPHS = "checkpoint20.npz", "g2p.py", "homographs.en"
SHA256 = {
    "checkpoint20.npz": "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6",
    "g2p.py": "fc2548b855e102f774506a6afe4f4bc88424229b69701ab6040aa16710ddff3a",
    "homographs.en": "0403edcc6aefe8945f8987be398279fd98bf6b767e54b741331d3bc99a307071",
}  # of the files in the wheel


def symbols(program, name):
    """Return the list that a program gives to self.NAME, a sum of two lists of strings; raise
    ValueError if there is none.
    """
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"self.{name}":
            first, second = node.value.left, node.value.right
            if isinstance(second, ast.Call):  # list("abc")
                return [*ast.literal_eval(first), *ast.literal_eval(second.args[0])]
            return [*ast.literal_eval(first), *ast.literal_eval(second)]
    raise ValueError(f"{PROGRAM} gives no value to self.{name}")


def make(folder):
    """Return {name: array} from an unpacked wheel; raise ValueError if a file is another one.

    The weights (float16) keep the names of the wheel; graphemes and phonemes are the symbols that
    the rows of the embeddings stand for; homographs are lines "word|pronunciation|another".
    """
    files = {name: (Path(folder) / "g2p_en" / name).read_bytes() for name in SHA256}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != SHA256[name]:
            raise ValueError(f"{name} is not that of g2p-en 2.1.0")
    with np.load(Path(folder) / "g2p_en" / WEIGHTS) as stored:
        arrays = {name: stored[name].astype(np.float16) for name in sorted(stored)}
    program = files[PROGRAM].decode()
    for name in ["graphemes", "phonemes"]:
        arrays[name] = np.array(symbols(program, name))
    lines = [line for line in files[HOMOGRAPHS].decode().splitlines() if line[:1] not in ("#", "")]
    parts = [line.strip().lower().split("|")[:3] for line in lines]
    arrays["homographs"] = np.array([f"{w}|{a.upper()}|{b.upper()}" for w, a, b in parts])
    return arrays


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).parent / "g2p.npz", **make(sys.argv[1]))
