"""Time layers on a GPU and on the CPU beside it, for gpu_times.csv of chapter 142.1.

Run `python make_gpu_times.py` on a machine with an NVIDIA GPU and PyTorch; it prints the table. The
times differ from run to run and from machine to machine, so no test repeats them: the stored table
is one run.
"""

import itertools
import time

import torch

WIDTH = 4096
BATCHES = [2**k for k in range(14)]


def on_gpu(layer):
    """Return the microseconds of one call of layer(): the median of 7 replays of 20 calls, which
    are recorded as a CUDA graph so that launching them costs nothing.
    """
    for _ in range(5):
        layer()
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        for _ in range(3):
            layer()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        for _ in range(20):
            layer()
    times = []
    for _ in range(7):
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 20 * 1e3)
    return sorted(times)[3]


def on_cpu(layer, calls):
    """Return the microseconds of one call of layer(), the mean of some calls after a first one."""
    layer()
    start = time.perf_counter()
    for _ in range(calls):
        layer()
    return (time.perf_counter() - start) / calls * 1e6


def main():
    """Print the table, a row a layer and batch."""
    bf16, gpu = torch.bfloat16, "cuda"
    print("layer,device,numbers,batch,microseconds")
    # 20 matrices in turn, so that none stays in the GPU's cache
    weights = [torch.randn(WIDTH, WIDTH, device=gpu, dtype=bf16) for _ in range(20)]
    for batch in BATCHES:
        x = torch.randn(batch, WIDTH, device=gpu, dtype=bf16) * 0.02
        turn = itertools.cycle(weights)
        took = on_gpu(lambda x=x, turn=turn: x @ next(turn))
        print(f"dense 4096 to 4096,H100,bf16,{batch},{took:.2f}")
    torch.backends.cudnn.benchmark = True
    last = torch.channels_last
    convolution = torch.nn.Conv2d(64, 64, 3, padding=1).to(gpu, bf16).to(memory_format=last)
    for batch in [1, 4, 16, 64, 256]:
        x = torch.randn(batch, 64, 56, 56, device=gpu, dtype=bf16).to(memory_format=last)
        with torch.no_grad():
            took = on_gpu(lambda x=x: convolution(x))
        print(f"convolution 3x3 on 56x56x64,H100,bf16,{batch},{took:.2f}")
    x = torch.randn(2**28, device=gpu, dtype=bf16)
    print(f"ReLU of 2^28 numbers,H100,bf16,1,{on_gpu(lambda: torch.relu(x)):.2f}")
    weight = weights[0].float().cpu()
    for batch, calls in [(1, 20), (256, 20), (4096, 5)]:
        x = torch.randn(batch, WIDTH)
        took = on_cpu(lambda x=x: x @ weight, calls)
        print(f"dense 4096 to 4096,16 CPU cores,float32,{batch},{took:.0f}")


if __name__ == "__main__":
    main()
