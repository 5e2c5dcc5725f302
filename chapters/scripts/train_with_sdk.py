"""The training job of chapter 141.1, with the SageMaker Python SDK 3, in an account:
python -m pip install sagemaker==3.27.0, then set SAGEMAKER_ROLE, SAGEMAKER_BUCKET
and AWS_DEFAULT_REGION=us-east-1, and run this.
"""

import os
from pathlib import Path

from sagemaker.train import ModelTrainer
from sagemaker.train.configs import (
    Compute,
    InputData,
    MetricDefinition,
    OutputDataConfig,
    SourceCode,
    StoppingCondition,
)

role, bucket = os.environ["SAGEMAKER_ROLE"], os.environ["SAGEMAKER_BUCKET"]
folder = str(Path(__file__).parent)  # with train_fraud.py
registry = "683313688378.dkr.ecr.us-east-1.amazonaws.com"

trainer = ModelTrainer(
    role=role,
    base_job_name="fraud-trees",
    training_image=f"{registry}/sagemaker-scikit-learn:1.2-1-cpu-py3",
    source_code=SourceCode(source_dir=folder, entry_script="train_fraud.py"),
    hyperparameters={"rounds": 80},
    compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=10),
    stopping_condition=StoppingCondition(max_runtime_in_seconds=900),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/fraud/models"),
)
metrics = ["train_loss", "validation_loss", "validation_ap"]
trainer.with_metric_definitions(
    [MetricDefinition(name=name, regex=rf"{name}=(\S+)") for name in metrics]
)
channels = [
    InputData(channel_name=name, data_source=f"s3://{bucket}/fraud/data/{name}/")
    for name in ["train", "validation"]
]
trainer.train(input_data_config=channels)  # waits, and shows the log
