"""Start train_ddp.py as a training job on two machines of eight GPUs.

Needs the SageMaker Python SDK, version 3 (the request was read from sagemaker-train 1.27.0), a
role, an image of your own, and an account that pays.
"""

from sagemaker.core.training.configs import Compute, SourceCode
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import Torchrun

trainer = ModelTrainer(
    training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1",  # your own
    role="arn:aws:iam::123456789012:role/training",  # your own
    source_code=SourceCode(source_dir="scripts", entry_script="train_ddp.py"),
    compute=Compute(instance_type="ml.p5.48xlarge", instance_count=2),
    distributed=Torchrun(),  # a process for each GPU of each machine
    hyperparameters={"ways": "ddp"},
)
trainer.train()
