"""Write instances.csv, EC2 instance types for machine learning and where SageMaker takes them.

Run `python make_instances.py` in this folder. Sizes come from the answer of EC2's
DescribeInstanceTypes that moto 5.2.5 ships, uses from the enumerations of SageMaker's service
model in botocore, prices from the list below.
"""

import gzip
import hashlib
import json
import re
from pathlib import Path

import botocore.session
import moto
import pandas as pd

# ec2/resources/instance_types.json.gz of moto 5.2.5
SHA256 = "81525fc960f54aa26a79dab202ffce6c9893a4a313203700b612b5c346e8804e"
ACCELERATED = """
    p2 p3 p3dn p4d p4de p5 p5e p5en p6-b200 p6-b300 p6e-gb200 g3 g3s g4dn g5 g5g g6 g6e g7 g7e
    trn1 trn1n trn2 inf1 inf2
""".split()
PROCESSORS = """
    c5.xlarge c5.18xlarge c5n.18xlarge c7i.xlarge c7i.4xlarge c7i.48xlarge m5.xlarge m5.4xlarge
    m7i.xlarge m7i.4xlarge m7i.48xlarge r5.4xlarge r7i.4xlarge r7i.48xlarge hpc6a.48xlarge
    hpc6id.32xlarge hpc7a.96xlarge hpc7g.16xlarge
""".split()
# EC2 reports 512 GiB for a chip; https://awsdocs-neuron.readthedocs-hosted.com (trn2-arch): 96
CORRECTED = {"Trainium2": 96}
USES = {
    "training": "TrainingInstanceType",
    "hyperpod": "ClusterInstanceType",
    "endpoint": "ProductionVariantInstanceType",
    "plan": "ReservedCapacityInstanceType",
}
# dollars an hour on demand, Linux, us-east-1, 9 February 2026; aws/karpenter-provider-aws (Apache
# 2.0), pkg/providers/pricing/zz_generated.pricing_aws.go of commit 265ee0ba5b8e
PRICES = """
    c5.xlarge 0.17 c5.18xlarge 3.06 c5n.18xlarge 3.888 c7i.xlarge 0.1785 c7i.4xlarge 0.714
    c7i.48xlarge 8.568 m5.xlarge 0.192 m5.4xlarge 0.768 m7i.xlarge 0.2016 m7i.4xlarge 0.8064
    m7i.48xlarge 9.6768 r5.4xlarge 1.008 r7i.4xlarge 1.0584 r7i.48xlarge 12.7008
    hpc7g.16xlarge 1.6832
    g4dn.xlarge 0.526 g4dn.2xlarge 0.752 g4dn.4xlarge 1.204 g4dn.8xlarge 2.176
    g4dn.12xlarge 3.912 g4dn.16xlarge 4.352
    g5.xlarge 1.006 g5.2xlarge 1.212 g5.4xlarge 1.624 g5.8xlarge 2.448 g5.12xlarge 5.672
    g5.16xlarge 4.096 g5.24xlarge 8.144 g5.48xlarge 16.288
    g5g.xlarge 0.42 g5g.2xlarge 0.556 g5g.4xlarge 0.828 g5g.8xlarge 1.372 g5g.16xlarge 2.744
    g6.xlarge 0.8048 g6.2xlarge 0.9776 g6.4xlarge 1.3232 g6.8xlarge 2.0144 g6.12xlarge 4.6016
    g6.16xlarge 3.3968 g6.24xlarge 6.6752 g6.48xlarge 13.3504
    g6e.xlarge 1.861 g6e.2xlarge 2.24208 g6e.4xlarge 3.00424 g6e.8xlarge 4.52856
    g6e.12xlarge 10.49264 g6e.16xlarge 7.57719 g6e.24xlarge 15.06559 g6e.48xlarge 30.13118
    g7e.2xlarge 3.36312 g7e.4xlarge 3.99816 g7e.8xlarge 5.26824 g7e.12xlarge 8.28608
    g7e.24xlarge 16.57216 g7e.48xlarge 33.14432
    inf1.xlarge 0.228 inf1.2xlarge 0.362 inf1.6xlarge 1.18 inf1.24xlarge 4.721
    inf2.xlarge 0.7582 inf2.8xlarge 1.96786 inf2.24xlarge 6.49063 inf2.48xlarge 12.98127
    p2.xlarge 0.9 p2.8xlarge 7.2 p2.16xlarge 14.4 p3.2xlarge 3.06 p3.8xlarge 12.24
    p3.16xlarge 24.48 p3dn.24xlarge 31.212 p4d.24xlarge 21.957642 p4de.24xlarge 27.44705
    p5.4xlarge 6.88 p5.48xlarge 55.04 p5en.48xlarge 63.296 p6-b200.48xlarge 113.9328
    trn1.2xlarge 1.34375 trn1.32xlarge 21.5 trn1n.32xlarge 24.78
""".split()


def gigabits(performance):
    """Return (advertised Gbit/s, whether it is a peak) of a text such as "4x 100 Gigabit"."""
    many, each = re.search(r"(?:(\d+)x )?([\d.]+) Gigabit", performance).groups()
    return int(many or 1) * float(each), performance.startswith("Up to")


def row(entry):
    """Return the columns that EC2 knows, of one entry of its answer."""
    chips = (
        entry.get("GpuInfo", {}).get("Gpus")
        or entry.get("NeuronInfo", {}).get("NeuronDevices")
        or [{}]
    )
    network = entry["NetworkInfo"]
    advertised, peak = gigabits(network["NetworkPerformance"])
    name, memory = chips[0].get("Name"), chips[0].get("MemoryInfo", {}).get("SizeInMiB", 0)
    return {
        "chip": name,
        "chips": chips[0].get("Count", 0),
        "chip_gib": CORRECTED.get(name, round(memory / 1024, 1)),
        "vcpus": entry["VCpuInfo"]["DefaultVCpus"],
        "ram_gib": entry["MemoryInfo"]["SizeInMiB"] / 1024,
        "network_gbit": advertised,
        "steady_gbit": network["NetworkCards"][0]["BaselineBandwidthInGbps"]
        if peak
        else advertised,
        "efa": network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0),
        "disk_gb": entry.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
        "current": entry["CurrentGeneration"],
        "capacity_block": "capacity-block" in entry["SupportedUsageClasses"],
    }


def make():
    """Return the table, a row a type; raise ValueError if moto ships another answer of EC2."""
    path = Path(moto.__file__).parent / "ec2/resources/instance_types.json.gz"
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError("instance_types.json.gz is not that of moto 5.2.5")
    known = json.loads(gzip.decompress(content))
    service = botocore.session.Session().get_service_model("sagemaker")
    taken = {use: {kind[3:] for kind in service.shape_for(s).enum} for use, s in USES.items()}
    types = {kind for kinds in [known, *taken.values()] for kind in kinds}
    chosen = [k for k in types if k.split(".")[0] in ACCELERATED and not k.endswith(".metal")]
    price = dict(zip(PRICES[::2], map(float, PRICES[1::2]), strict=True))
    rows = []
    for kind in [*chosen, *PROCESSORS]:
        own = row(known[kind]) if kind in known else {}
        uses = {use: kind in kinds for use, kinds in taken.items()}
        rows.append({"type": kind, "in_ec2_data": kind in known, **own, **uses})
        rows[-1]["dollars"] = price.get(kind)
    order = [*ACCELERATED, *(kind.split(".")[0] for kind in PROCESSORS)]
    rows.sort(key=lambda r: (order.index(r["type"].split(".")[0]), r.get("vcpus", 0), r["type"]))
    whole = ["chips", "vcpus", "efa", "disk_gb"]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


if __name__ == "__main__":
    target = Path(__file__).parent / "instances.csv"
    make().to_csv(target, index=False, lineterminator="\n")
