"""Start an FSDP script as a training job with SageMaker's model parallelism library, version 2.

Needs the SageMaker Python SDK, version 3 (the request was read from sagemaker-train 1.27.0), a
role, a script, and an account that pays. The script must begin with `import torch.sagemaker as tsm`
and `tsm.init()`, and wrap its model in FSDP.
"""

from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import SMP, Torchrun

registry = "658645717510.dkr.ecr.us-west-2.amazonaws.com"
settings = SMP(
    hybrid_shard_degree=8,  # GPUs that share a state; the other 8 hold a copy
    sm_activation_offloading=True,
    activation_loading_horizon=2,
)
trainer = ModelTrainer(
    training_image=f"{registry}/smdistributed-modelparallel:2.5.1-gpu-py311-cu124",
    role="arn:aws:iam::123456789012:role/training",  # your own
    source_code=SourceCode(source_dir="scripts", entry_script="train.py"),  # your own
    compute=Compute(instance_type="ml.p4d.24xlarge", instance_count=2, volume_size_in_gb=500),
    distributed=Torchrun(smp=settings),
)
trainer.train()
