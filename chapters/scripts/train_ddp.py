"""Data parallelism in PyTorch: network, data, initial weights and so losses are those of chapter
163's JAX program.

Each process takes an equal part of every batch, which its sampler picks. With DDP every process
keeps all weights, and an all-reduce averages the gradients. With FSDP it keeps a part of them,
gathers a layer when it is needed, and receives its part of the averaged gradients. Both must end
with the weights that one process reaches on whole batches, or the script fails; so it does with
`--ways alone`, where the processes do not talk. Two processes, on a CPU or on two GPUs (not tried
yet):

    torchrun --nproc_per_node=2 chapters/scripts/train_ddp.py

On several hosts, each with its own rank (0, 1, ...) and all with the address of host 0:

    torchrun --nnodes=2 --node_rank=0 --master_addr=10.0.0.10 --master_port=29500 --nproc_per_node=2
    chapters/scripts/train_ddp.py

N processes send 2 (N - 1) / N times the weights a step with DDP. FSDP's two gathers and one scatter
make that 3 (N - 1) / N, but 4 (N - 1) / N on a CPU, where gloo takes an all-reduce for the scatter.
"""

import argparse
import gc
import os
from pathlib import Path

try:
    import numpy as np
    import torch
    import torch.distributed as dist
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}: pip install -r requirements-torch.txt") from None

parser = argparse.ArgumentParser()
ways = ["one", "ddp", "fsdp", "alone"]
parser.add_argument("--ways", nargs="+", choices=ways, default=["ddp", "fsdp"])
args = parser.parse_args()
if "LOCAL_RANK" not in os.environ:
    raise SystemExit("Start it with torchrun; the top of this file says how.")
world, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
if 256 % world:
    raise SystemExit(f"{world} processes cannot share 256 rows equally: start 2 or 4.")

gpu = torch.cuda.is_available()
device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if gpu else "cpu")
if gpu:
    torch.cuda.set_device(device)
torch.set_num_threads(1)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X[:1792] / 16, dtype=torch.float32, device=device)
digits = TensorDataset(X, torch.tensor(y[:1792], device=device))


def network():
    """Return the network as every process starts with it."""
    rng = np.random.default_rng(0)
    W1 = rng.normal(size=(64, 1024)) * np.sqrt(2 / 64)
    W2 = rng.normal(size=(1024, 10)) * np.sqrt(1 / 1024)
    layers = [nn.Linear(64, 1024, bias=False), nn.Linear(1024, 10, bias=False)]
    for layer, W in zip(layers, [W1, W2]):
        layer.weight.data.copy_(torch.tensor(W.T))
    return nn.Sequential(layers[0], nn.ReLU(), layers[1]).to(device)


def parallel(model, way):
    """Return the model, made parallel."""
    if way == "ddp":
        return DistributedDataParallel(model)
    if way == "fsdp":
        mesh = dist.init_device_mesh(device.type, (world,))
        for part in [model[0], model[2], model]:  # each layer, then the whole
            fully_shard(part, mesh=mesh)
    return model


def train(way):
    """Return the model, the losses of this process's rows, and bytes sent per step."""
    n, part = (1, 0) if way == "one" else (world, rank)
    sampler = DistributedSampler(digits, n, part, shuffle=False)  # True outside this comparison
    loader = DataLoader(digits, batch_size=256 // n, sampler=sampler)
    model = parallel(network(), way)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    losses, sent = [], []
    for epoch in range(3):
        sampler.set_epoch(epoch)  # with shuffle=True: another order in every epoch
        for images, labels in loader:
            sgd.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()  # DDP and FSDP average the gradients here
            sgd.step()
            losses.append(loss.detach())
            sent.append(written())
    return model, torch.stack(losses), (sent[-1] - sent[0]) / 20


def written():
    """Return the bytes that this process has written, sockets included; nan where they are not
    counted.
    """
    counts = Path("/proc/self/io")
    if gpu or not counts.exists():
        return float("nan")
    return int(counts.read_text().split("wchar:")[1].split()[0])


def compare(way):
    """Print how a way of training went; return the largest difference from one process."""
    one = list(train("one")[0].parameters())
    model, losses, sent = train(way)
    dist.all_reduce(losses)  # the parts are equal: their mean is the loss of the batch
    weights = [(w, w.grad) for w in model.parameters()]
    parts, whole = weights, [w for w, _ in weights]
    if way == "fsdp":
        parts = [(w.to_local(), gradient.to_local()) for w, gradient in weights]
        whole = [w.full_tensor() for w, _ in weights]
    held = [sum(tensor.nbytes for tensor in tensors) for tensors in zip(*parts)]
    difference = max((a - b).abs().max() for a, b in zip(whole, one))
    dist.all_reduce(difference, dist.ReduceOp.MAX)
    if rank == 0:
        print(
            f"{way}: loss {losses[0] / world:.4f} to {losses[-1] / world:.4f},",
            f"weights differ by {difference:.6f} from one process; bytes held:",
            f"{held[0]:,} of weights, {held[1]:,} of gradients; sent a step:",
            f"{sent / sum(w.nbytes for w in one):.1f} times the weights",
            flush=True,
        )
    return difference.item()


dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
failed = [way for way in args.ways if not compare(way) < 1e-5]
gc.collect()  # a model that is still there would keep connections open
dist.destroy_process_group()
if failed:
    sentence = f"Not the weights that one process reaches: {', '.join(failed)}."
    raise SystemExit(sentence if rank == 0 else 1)
