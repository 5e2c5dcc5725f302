"""A local AWS: `import sandbox`, and plain boto3 code runs on this machine.

    import boto3
    import sandbox  # a local AWS; on AWS, delete this line and name your own role and bucket

    role, bucket = sandbox.role, sandbox.bucket

Import it before the first client is made. moto answers the calls and keeps the state, in this
process. Every SageMaker request is held against the service model that botocore ships, with its
enumerations, patterns and bounds, against documented rules that the model does not hold
(`validation`), and against what exists (`records`). Training jobs run their script, tuning jobs
search, endpoints load the model and predict. What the sandbox cannot do for real raises
`NotImplementedError`.

`role` is the ARN of an execution role, `bucket` the name of an empty S3 bucket; `lose_host` takes a
job's machines away (`jobs.lose_host`).

**The guard.** Credentials found in the environment or in files are put aside. A request of botocore
that moto does not answer is refused, and this process looks up and connects to no host of AWS
(`amazonaws.com`, `aws` and their kin, the addresses of instance credentials), whichever library
asks by Python's sockets. Jobs, endpoints and other children have no credentials either: an SDK of
AWS in them finds nobody, and a Python in them is held like this one. It does not hold for libraries
with sockets of their own in C (grpc, pycurl), nor for what is neither Python nor an SDK in a child
process, such as curl with a presigned URL, nor for a child started with an environment of its own.
Only `AWS_SANDBOX=0` together with `AWS_I_ACCEPT_COSTS=1`, `SAGEMAKER_ROLE`, `SAGEMAKER_BUCKET` and
`AWS_DEFAULT_REGION` lets a notebook that imports this module reach AWS, and then the module does
nothing but hand out that role and that bucket.

What differs from AWS:

- A create call returns when the job has ended; on AWS it returns at once and one waits
  (`get_waiter("training_job_completed_or_stopped")`, or describe in a loop). Both work here. A job
  whose call is interrupted ends as Stopped, with its log.
- The hosts of a job, at most eight, are processes of this machine, with its processor and its
  Python: images are names, and instance types, VPC, roles and keys are checked for their form only.
  There is no profiler rule. What a host has started ends with it, unless it has left its process
  group and cleared its environment.
- No host is lost by itself: `lose_host(job_name, when)` takes it away when the job prints a line of
  that kind, by killing it without a warning. A spot job goes on at once; on AWS it waits for an
  instance.
- Debugger rules are judged in the process that asks for the job, about ten times a second, from
  event files that the script writes itself (`debugger`): nothing hooks into a framework. On AWS
  each rule is a processing job. If a job saves no tensor, its rules end with Error, as on AWS; a
  rule that only misses its own tensors ends as NoIssuesFound.
- What an image answers (FailureReason, content types, metrics) is read from the containers' source,
  named in `container` and `images`, and goes by the image in the request. AWS's own packages
  (sagemaker_training, sagemaker_inference and so on) are not there to import.
- Nothing is installed: a requirements.txt that names what is missing here, a setup.py beside the
  script, shell scripts and commands raise NotImplementedError.
- Names such as algo-2 do not resolve. Hosts meet at SM_MASTER_ADDR, 127.0.0.1, and SM_MASTER_PORT,
  a free port; their network interface is called lo. On AWS these two are algo-1 and 7777, and it is
  the launcher of the SageMaker Python SDK 3 that sets them, SM_HOST_COUNT and SM_CURRENT_HOST_RANK;
  a job that boto3 starts has SM_HOSTS and SM_CURRENT_HOST, and chooses its own port.
- When a host fails, the others are killed and the job fails for the reason of the first. With
  ShardedByS3Key host k of n gets every n-th object from the k-th on. A metric takes its values from
  the logs of all hosts, as they come. We found none of the three in AWS's documentation.
- Files of several hosts should not have equal names, as on AWS. If they do, the first host's counts
  in model and output, and the newest among checkpoints.
- The paths below /opt/ml lie in a temporary folder: the sandbox rewrites "/opt/ml" in
  hyperparameters, environment and the text of the scripts, so folders that a request names
  elsewhere raise NotImplementedError. Checkpoints are stored ten times a second while the job
  runs, logs when it ends. A log has the script's lines only, at most 10,000 from its beginning and
  as many from its end.
- XGBoost's image trains on text/csv, on one host, without GPU, cross-validation or
  SAGEMAKER_INFERENCE_OUTPUT. Metrics with a threshold, such as error@0.4, stand in its log only. A
  cell that is no number fails the job.
- A variant of an endpoint is one process that answers one caller after the other, within 60
  seconds. If it dies, that caller gets a ModelError and the next one a new process. Variants are
  chosen by chance in proportion to their weights, the same way on every run; a shadow variant hears
  a request after it has been answered. What is captured lies in S3 at once, under an hour of 2026.
- Dates in the answers about jobs and endpoints count seconds from 2026-01-01, one per event: their
  order is real, their distances are not. So there is no TrainingTimeInSeconds and no
  BillableTimeInSeconds. Dates in moto's answers (S3, models, groups of the registry) are of
  today. Of ResponseMetadata only the HTTPStatusCode is kept.
- The log streams of a job are NAME/algo-1, NAME/algo-2 and so on; AWS appends a number.
- Repeating the very same create call replaces the job, model, configuration or endpoint, so that a
  cell can run twice; AWS refuses it.
- Bayesian search draws three jobs at random, then models a Gaussian process with few choices
  (`gaussian`). Jobs run one after another, but a strategy learns only between batches of
  MaxParallelTrainingJobs. Early stopping judges from the fourth job on. `Auto` scaling is
  logarithmic when MaxValue is at least 1000 times a positive MinValue. Tuned values have six
  digits. Without RandomSeed the seed is 0.
- A job that early stopping ends keeps no model; on AWS it may save one within 120 seconds.
- A warm pool has a status, found by the documented rule, and its persistent cache
  (`/opt/ml/sagemaker/warmpoolcache`). No instance waits, and no time ends it; UpdateTrainingJob
  does.
- AutoML jobs (CreateAutoMLJobV2) are checked and then refused: nothing here chooses pipelines.
- CloudWatch stores metrics and alarms, its requests held against its service model; no alarm is
  judged (`set_alarm_state` sets one). UpdateEndpoint with a DeploymentConfig is checked and then
  refused: nothing shifts traffic by time here.
- EventBridge delivers to SQS and log groups, each event once and in order; on AWS more than one may
  come for a change.
- A version of the registry that is not Approved is refused by CreateModel; AWS says that such a
  version cannot be deployed, and not which call refuses it. A version's archive and image are not
  looked at when it is registered, and nobody is held to a group's policy. Of a model card's schema,
  its sections and the risk rating are checked.
- Studio domains, HyperPod clusters, pipelines, models, the registry, its policies, model cards,
  lineage and experiments are records that are stored and given back: nothing stands behind them.
"""

import os

from . import guard

if guard.may_reach_aws():
    role, bucket = os.environ["SAGEMAKER_ROLE"], os.environ["SAGEMAKER_BUCKET"]

    def lose_host(job_name, when, times=1):
        """Raise NotImplementedError: nobody can take an instance of AWS away."""
        raise NotImplementedError("AWS takes instances back by itself, not on request.")

else:
    guard.close()
    # each registers its answers
    from . import api, endpoints, jobs, lineage, records, registry, tuning  # noqa: F401

    lose_host = jobs.lose_host
    role, bucket = api.start()

__all__ = ["bucket", "lose_host", "role"]
