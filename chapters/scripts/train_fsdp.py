"""The ladder of chapter 164 in PyTorch: FSDP2, activation checkpointing, bf16 and a sharded
checkpoint, for a small Transformer that continues text byte by byte.

Each process takes an equal part of every batch. `fsdp` shards weights, gradients and Adam's
moments; `checkpointing` also recomputes each block in the backward pass; `bf16` computes in
bf16 beside float32 weights. The first two must end with the weights that one process reaches
on whole batches, or the script fails; so it does with `--ways alone`, where the processes do not
talk. For bf16 only the loss is compared, to two hundredths. The sharded state is then written,
one file a process, read into a fresh model, and must be the same. Two processes, on a CPU or on
two GPUs (on GPUs not tried yet):

    torchrun --nproc_per_node=2 chapters/scripts/train_fsdp.py
"""

import argparse
import gc
import os
import tempfile

try:
    import numpy as np
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from torch.utils.checkpoint import checkpoint
except ModuleNotFoundError as error:
    raise SystemExit(f"{error}: pip install -r requirements-torch.txt") from None

BATCH, LENGTH, STEPS = 8, 64, 10
parser = argparse.ArgumentParser()
ways = ["one", "fsdp", "checkpointing", "bf16", "alone"]
parser.add_argument("--ways", nargs="+", choices=ways, default=ways[1:4])
args = parser.parse_args()
if "LOCAL_RANK" not in os.environ:
    raise SystemExit("Start it with torchrun; the top of this file says how.")
world, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
if BATCH % world:
    raise SystemExit(f"{world} processes cannot share {BATCH} rows equally: start 2, 4 or 8.")

gpu = torch.cuda.is_available()
device = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if gpu else "cpu")
if gpu:
    torch.cuda.set_device(device)
torch.set_num_threads(1)
text = torch.tensor(list(load_digits().DESCR.encode()), device=device)


class Network(nn.Module):
    """A byte-level language model of four Transformer blocks, without dropout."""

    def __init__(self, recompute=False):
        """Make the layers; recompute says whether blocks keep only their inputs."""
        super().__init__()
        self.recompute = recompute
        self.embedding = nn.Embedding(256, 64)
        block = dict(dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(64, 4, 256, **block) for _ in range(4)
        )
        self.head = nn.Linear(64, 256)

    def forward(self, rows):
        """Return logits, one row for each byte to be named: (rows times places, 256)."""
        n = rows.shape[1]
        later = torch.ones(n, n, dtype=torch.bool, device=rows.device).triu(1)
        x = self.embedding(rows)
        for block in self.blocks:
            if self.recompute:  # keep only the block's input
                x = checkpoint(block, x, later, use_reentrant=False)
            else:
                x = block(x, later)
        return self.head(x.flatten(0, 1))


def sharded(model, way):
    """Return the model, its blocks and the rest sharded over all processes."""
    policy = MixedPrecisionPolicy()
    if way == "bf16":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    mesh = dist.init_device_mesh(device.type, (world,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh, mp_policy=policy)
    return fully_shard(model, mesh=mesh, mp_policy=policy)


def start(way):
    """Return a model with the weights that every process starts with, and its Adam."""
    torch.manual_seed(0)
    model = Network(recompute=way == "checkpointing").to(device)
    if way not in {"one", "alone"}:
        model = sharded(model, way)  # before the optimizer, which then sees shards
    return model, torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-6)


def train(way):
    """Return the model, its optimizer, and the last loss of this process's rows."""
    model, adam = start(way)
    part = slice(0, BATCH) if way == "one" else slice(rank * BATCH // world, None)
    part = slice(part.start, part.start + (BATCH if way == "one" else BATCH // world))
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        first = rng.integers(0, len(text) - LENGTH - 1, BATCH)[part]
        rows = torch.stack([text[at : at + LENGTH + 1] for at in first])
        adam.zero_grad()
        logits = model(rows[:, :-1]).float()
        loss = nn.functional.cross_entropy(logits, rows[:, 1:].flatten())
        loss.backward()  # FSDP gathers weights here and scatters the sums of gradients
        adam.step()
    return model, adam, loss.detach()


def local(tensor):
    """Return the part of a tensor that this process holds."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def whole(tensor):
    """Return all of a tensor, gathered if it is sharded."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def held(model, adam):
    """Return the bytes of weights, gradients and moments that this process holds."""
    weights = list(model.parameters())
    moments = [value for one in adam.state.values() for key, value in one.items() if key != "step"]
    kinds = [weights, [w.grad for w in weights], moments]
    return [sum(local(tensor).nbytes for tensor in kind) for kind in kinds]


def reloaded(model, adam, way):
    """Write the sharded state, one file a process, read it into a fresh model; return the
    largest difference of a weight.
    """
    folder = [tempfile.mkdtemp() if rank == 0 else None]
    dist.broadcast_object_list(folder)
    weights, moments = get_state_dict(model, adam)
    dcp.save({"model": weights, "optimizer": moments}, checkpoint_id=folder[0])
    fresh, other = start(way)
    weights, moments = get_state_dict(fresh, other)
    state = {"model": weights, "optimizer": moments}
    dcp.load(state, checkpoint_id=folder[0])
    set_state_dict(
        fresh, other, model_state_dict=state["model"], optim_state_dict=state["optimizer"]
    )
    both = zip(model.parameters(), fresh.parameters(), strict=True)
    return max((local(a) - local(b)).abs().max().item() for a, b in both)


def compare(way, one, one_loss):
    """Print how a way of training went; return whether it is as it must be."""
    model, adam, loss = train(way)
    dist.all_reduce(loss)  # the parts are equal: their mean is the loss of the batch
    loss = loss.item() / world
    ours = [whole(w) for w in model.parameters()]
    difference = max((a - b).abs().max() for a, b in zip(ours, one, strict=True))
    dist.all_reduce(difference, dist.ReduceOp.MAX)
    bytes_held = held(model, adam)
    read = 0.0 if way == "alone" else reloaded(model, adam, way)
    if rank == 0:
        print(
            f"{way}: loss {loss:.3f}, weights differ by {difference:.6f} from one process;",
            "bytes held: {:,} of weights, {:,} of gradients, {:,} of moments;".format(*bytes_held),
            f"after writing and reading they differ by {read:.6f}",
            flush=True,
        )
    close = abs(loss - one_loss) < 0.02 if way == "bf16" else difference.item() < 1e-4
    return close and read == 0


dist.init_process_group("nccl" if gpu else "gloo", device_id=device if gpu else None)
model, adam, one_loss = train("one")
one, one_loss = [w.detach() for w in model.parameters()], one_loss.item()
if rank == 0:
    print(f"one process: loss {one_loss:.3f}, bytes held:", *map("{:,}".format, held(model, adam)))
failed = [way for way in args.ways if not compare(way, one, one_loss)]
gc.collect()  # a model that is still there would keep connections open
dist.destroy_process_group()
if failed:
    sentence = f"Not the weights that one process reaches: {', '.join(failed)}."
    raise SystemExit(sentence if rank == 0 else 1)
