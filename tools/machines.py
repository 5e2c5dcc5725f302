"""Run chapters on emulated machines and say which of them print and draw what is stored.

python tools/machines.py chapters/144_*.ipynb chapters/153_*.ipynb

A machine is a set of environment variables. Before the run, a child process asks for the effect of
each: a probe prints a fact under all variables of the machine, and under all but this one. Where
both are the same, the variable has no effect here: two threads, say, on a computer of two cores.
NumPy passes over features that a processor lacks and refuses to start without its baseline, so
only features above the baseline are named.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]


# OpenBLAS heeds OMP_NUM_THREADS, JAX the number of processors
THREADS = ["OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NPROC"]
MACHINES = {
    "one thread": dict.fromkeys(THREADS, "1"),
    "two threads": dict.fromkeys(THREADS, "2"),
    "AVX2": {
        "OPENBLAS_CORETYPE": "Haswell",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    },
    "SSE4.2": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        # below AVX, XLA has no conversion of 16-bit floats and cannot compile them
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX",
    },
    "abroad": {
        "PYTHONHASHSEED": "1",
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",  # else Python takes UTF-8 whatever the locale says
    },
}

POOLS = "from threadpoolctl import threadpool_info\nimport sklearn\n"
PRODUCT = "import tensorflow as tf\nx = tf.random.stateless_normal((500, 500), (1, 2))\ny = x @ x\n"
COUNT = "import psutil\nprint(psutil.Process().num_threads())"
PROBES = {
    "OMP_NUM_THREADS": POOLS + "print([pool['num_threads'] for pool in threadpool_info()])",
    "OPENBLAS_CORETYPE": POOLS
    + "print(sorted({pool.get('architecture', '') for pool in threadpool_info()}))",
    "TF_NUM_INTRAOP_THREADS": PRODUCT + COUNT,
    "NPROC": "import jax.numpy as jnp\njnp.ones(9).block_until_ready()\n" + COUNT,
    # TensorFlow multiplies 32-bit matrices with oneDNN even where TF_ENABLE_ONEDNN_OPTS is 0
    "ONEDNN_MAX_CPU_ISA": PRODUCT + "import zlib\nprint(zlib.crc32(y.numpy()))",
    "NPY_DISABLE_CPU_FEATURES": "import numpy as np\n"
    "print(np.show_config('dicts')['SIMD Extensions'].get('found'))",
    "XLA_FLAGS": "import jax, re\nprogram = jax.jit(lambda x: x + 1).lower(1.0).compile()\n"
    "code = program.runtime_executable().serialize()\n"
    "print(sorted(set(re.findall(rb'[+](avx2|avx512f|sse4[.]2)(?=,)', code))))",
    "PYTHONHASHSEED": "print(hash('a'))",
    "TZ": "import time\nprint(time.tzname)",
    "LC_ALL": "import locale\nprint(locale.getencoding())",
    "PYTHONUTF8": "import locale\nprint(locale.getpreferredencoding(False))",
}


def probe(variable, machine):
    """Return what the probe of a variable prints in a child process with a machine's variables.

    Ends the program with one sentence if the child fails.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [sys.executable, "-c", PROBES[variable]]
    environment = os.environ | quiet | machine
    child = subprocess.run(command, env=environment, capture_output=True, text=True)
    if child.returncode:
        sys.exit(f"The probe of {variable} fails: {child.stderr.strip().splitlines()[-1]}")
    return child.stdout.strip()


def effects(machine):
    """Return one sentence for each variable of a machine: what it changes here, or that it does
    not.
    """
    sentences = []
    for variable, value in machine.items():
        others = {name: machine[name] for name in machine if name != variable}
        before, after = probe(variable, others), probe(variable, machine)
        effect = f"takes effect: {before} -> {after}" if before != after else "has no effect here"
        sentences.append(f"{variable}={value} {effect}")
    return sentences


def verdicts(machine, notebooks):
    """Return for each notebook "passed", or the cells that failed, after a run of nbval on a
    machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ["--nbval", "-q", "-n", "2", "--dist", "loadscope"]
        # xunit1 names the file of each case
        options += [f"--junitxml={report}", "-o", "junit_family=xunit1"]
        command = [sys.executable, "-m", "pytest", *options]
        run = subprocess.run([*command, *notebooks], cwd=ROOT, env=os.environ | machine)
        # any other status than 0 and 1 says that pytest itself did not come to its end
        ended = run.returncode in (0, 1)
        cases = list(ElementTree.parse(report).iter("testcase")) if ended else []
    found = {}
    for notebook in notebooks:
        mine = [case for case in cases if Path(case.get("file")).stem == notebook.stem]
        failed = [case.get("name") for case in mine if len(case.findall("*"))]
        found[notebook.stem] = ", ".join(failed) or ("passed" if mine else "did not run")
    return found


def main(notebooks, machines):
    """Print the switches and a table of chapters by machines; return 1 if a chapter fails."""
    table = {}
    for name, machine in machines.items():
        for sentence in effects(machine):
            print(f"{name}: {sentence}", flush=True)
        table[name] = verdicts(machine, notebooks)
    table = pd.DataFrame(table)
    print(table.to_string())
    return int((table != "passed").any(axis=None))


if __name__ == "__main__":
    sys.exit(main([Path(name).resolve() for name in sys.argv[1:]], MACHINES))
