"""Data parallelism in PyTorch: network, data, initial weights and so losses are those of chapter 163's JAX program.

Each process takes an equal part of every batch. With DDP every process keeps all weights, and an all-reduce averages
the gradients. With FSDP it keeps a part of them, gathers a layer when it is needed, and receives its part of the
averaged gradients. Both must end with the weights that one process reaches on whole batches, or the script fails;
so it does with `--ways alone`, where the processes do not talk. Two processes, on two GPUs or on a CPU:

    torchrun --nproc_per_node=2 chapters/scripts/train_ddp.py

On several hosts, each with its own rank (0, 1, ...) and all with the address of host 0:

    torchrun --nnodes=2 --node_rank=0 --master_addr=10.0.0.10 --master_port=29500 --nproc_per_node=2 chapters/scripts/train_ddp.py
"""

import argparse
import os
from pathlib import Path

try:
    import numpy as np
    import torch
    import torch.distributed as dist
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor
    from torch.nn.parallel import DistributedDataParallel
except ModuleNotFoundError as missing:
    sentence = f"{missing.name} is missing: pip install -r requirements-torch.txt"
    raise SystemExit(sentence) from None


def network():
    """Return the network as every process starts with it."""
    rng = np.random.default_rng(0)
    W1 = rng.normal(size=(64, 1024)) * np.sqrt(2 / 64)
    W2 = rng.normal(size=(1024, 10)) * np.sqrt(1 / 1024)
    layers = [nn.Linear(*W.shape, bias=False) for W in (W1, W2)]
    for layer, W in zip(layers, (W1, W2)):
        layer.weight.data.copy_(torch.tensor(W.T))
    return nn.Sequential(layers[0], nn.ReLU(), layers[1]).to(device)


def parallel(model, way):
    """Return the model, made parallel."""
    if way == "ddp":
        return DistributedDataParallel(model)
    if way == "fsdp":
        mesh = dist.init_device_mesh(device.type, (world,))
        for part in (model[0], model[2], model):  # each layer, then the whole
            fully_shard(part, mesh=mesh)
    return model


def train(way):
    """Return the trained model, the losses of this process's rows, and the bytes it sent per step."""
    model = parallel(network(), way)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    size, first = (256, 0) if way == "one" else (256 // world, 256 // world * rank)
    losses, sent = [], []
    for step in range(21):
        start = 256 * step % 1792 + first
        rows = slice(start, start + size)
        sgd.zero_grad()
        loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
        loss.backward()  # DDP and FSDP average the gradients here
        sgd.step()
        losses.append(loss.detach())
        sent.append(written())
    return model, torch.stack(losses), (sent[-1] - sent[0]) / 20


def written():
    """Return the bytes that this process has written, to sockets too; nan where the system does not count them."""
    try:
        return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])
    except OSError:
        return float("nan")


def whole(weight):
    """Return a weight with the parts that other processes hold."""
    return weight.full_tensor() if isinstance(weight, DTensor) else weight


def held(tensors):
    """Return the bytes of the tensors in this process."""
    own = [t.to_local() if isinstance(t, DTensor) else t for t in tensors]
    return sum(t.nbytes for t in own)


def stop(sentence):
    """End all processes with an error; the first one says why."""
    dist.destroy_process_group()
    raise SystemExit(sentence if rank == 0 else 1)


parser = argparse.ArgumentParser()
ways = ["one", "ddp", "fsdp", "alone"]
parser.add_argument("--ways", nargs="+", choices=ways, default=["ddp", "fsdp"])
args = parser.parse_args()
if "LOCAL_RANK" not in os.environ:
    raise SystemExit(f"Start it with: torchrun --nproc_per_node=2 {__file__}")
torch.set_num_threads(1)
gpu = torch.cuda.is_available()
device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if gpu else "cpu")
if gpu:
    torch.cuda.set_device(device)
dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
rank, world = dist.get_rank(), dist.get_world_size()
if 256 % world:
    stop(f"256 rows do not divide by {world} processes: start 2, 4, 8 or 16.")

X, y = load_digits(return_X_y=True)
X = torch.tensor(X[:1792] / 16, dtype=torch.float32, device=device)
y = torch.tensor(y[:1792], device=device)
one = list(train("one")[0].parameters())
for way in args.ways:
    model, losses, sent = train(way)
    dist.all_reduce(losses)  # the mean of equal parts is the loss of the batch
    losses /= world
    weights = list(model.parameters())
    gradients = [weight.grad for weight in weights]
    difference = max((whole(a) - b).abs().max() for a, b in zip(weights, one))
    dist.all_reduce(difference, dist.ReduceOp.MAX)
    if rank == 0:
        print(
            f"{way}: loss {losses[0]:.4f} to {losses[-1]:.4f},",
            f"weights {difference:.6f} from those of one process;",
            f"a process holds {held(weights):,} bytes of weights",
            f"and {held(gradients):,} of gradients,",
            f"sends {sent / held(one):.1f} times all weights a step",
            flush=True,
        )
    if not difference < 1e-5:
        stop(f"{way}: the weights differ from those that one process reaches.")
dist.destroy_process_group()
