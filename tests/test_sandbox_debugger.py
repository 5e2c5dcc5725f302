"""Debugger rules judge what a job saves, while it runs, and act."""

import json

import boto3
import numpy as np
import pytest
import smdebug_rulesconfig as rule_configs
from local_aws import Aws, archive

RULE_IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
HOOK = """
import argparse, json, os, time
import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

with open("/opt/ml/input/config/debughookconfig.json") as file:
    folder = json.load(file)["LocalPath"]
writers = {}

def save(step, mode="train", **tensors):
    if mode not in writers:
        os.mkdir(os.path.join(folder, mode))
        writers[mode] = RecordWriter(open(os.path.join(folder, mode, "x.tfevents"), "wb"))
    for tag, value in tensors.items():
        proto = make_tensor_proto(np.asarray(value, "float32"))
        summary = Summary(value=[Summary.Value(tag=tag, tensor=proto)])
        writers[mode].write(Event(step=step, summary=summary).SerializeToString())
    writers[mode].flush()

"""


@pytest.fixture(scope="module")
def aws():
    return Aws()


def rule(name, title=None, **parameters):
    return {
        "RuleConfigurationName": title or name,
        "RuleEvaluatorImage": RULE_IMAGE,
        "RuleParameters": {"rule_to_invoke": name, **parameters},
    }


def train(aws, name, script, *rules, **more):
    aws.put(f"code/{name}.tar.gz", archive(train=HOOK + script))
    hyper = {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/{name}.tar.gz"}
    hook = {"S3OutputPath": f"s3://{aws.bucket}/debug"}
    more = {"DebugHookConfig": hook, "DebugRuleConfigurations": [*rules], **more}
    return aws.train(name, hyper, **more)


def statuses(job):
    told = job["DebugRuleEvaluationStatuses"]
    return {one["RuleConfigurationName"]: one["RuleEvaluationStatus"] for one in told}


def judged(name, steps, **parameters):
    """Return the first step, counted from 0, that a rule objects to; None if there is none.

    `steps` holds {tag: value} of the mode TRAIN, or pairs with one of the mode EVAL.
    """
    from sandbox.debugger import COLLECTIONS, EVAL, RULES, TRAIN, Parameters

    judge = RULES[name](Parameters({"rule_to_invoke": name, **parameters}, COLLECTIONS))
    for step, tensors in enumerate(steps):
        train, validation = tensors if isinstance(tensors, tuple) else (tensors, {})
        seen = {TRAIN: train, EVAL: validation}
        arrays = {
            mode: {tag: np.array(value, float) for tag, value in given.items()}
            for mode, given in seen.items()
        }
        if judge(step, arrays):
            return step
    return None


def losses(*values):
    return [{"loss": value} for value in values]


def both(*pairs):
    return [({"loss": train}, {"loss": validation}) for train, validation in pairs]


def test_rules_say_when(aws):
    falling = losses(*np.linspace(1, 0.1, 30))
    assert judged("LossNotDecreasing", falling) is None
    assert judged("LossNotDecreasing", losses(*[1.0] * 30)) == 10
    assert judged("LossNotDecreasing", losses(*[1.0] * 30), num_steps="3") == 3
    assert judged("LossNotDecreasing", falling, diff_percent="50") == 10
    # as in AWS's example of losses saved at every third step: 21 is compared with 9
    third = [{"loss": 1 - step / 100} if step % 3 == 0 else {} for step in range(60)]
    third[21] = {"loss": 1 - 10 / 100}  # below that of step 9, above that of step 12
    assert judged("LossNotDecreasing", third[9:], num_steps="10") is None
    mixed = [({"loss": 1 / (step + 1)}, {"loss": 1}) for step in range(20)]
    assert judged("LossNotDecreasing", mixed) == 10
    assert judged("LossNotDecreasing", mixed, mode="TRAIN") is None
    assert judged("Overfit", both(*[(1, 1.05)] * 9)) is None
    assert judged("Overfit", both((1, 1), (1, 1.2), (1, 1.2)), patience="2") == 2
    assert judged("Overfit", both((1, 1.2), (1, 1), (1, 1.2)), patience="2") is None
    assert judged("Overfit", both((1, 1.2), (1, 1.2)), start_step="1") == 1
    assert judged("Overtraining", both(*[(1, 1)] * 30)) == 10
    assert judged("Overtraining", both(*[(1 - k / 5, 1) for k in range(30)])) is None


def test_rules_read_tensors(aws):
    fine, tiny = [{"gradient/a": [0.1, -0.1]}] * 3, [{"gradient/a": [1e-9, -1e-8]}]
    assert judged("VanishingGradient", fine) is None
    assert judged("VanishingGradient", fine + tiny) == 3
    assert judged("VanishingGradient", [{"kernel": [0.0]}]) is None
    assert judged("ExplodingTensor", [{"kernel": [1.0]}, {"kernel": [np.inf]}]) == 1
    assert judged("ExplodingTensor", [{"kernel": [np.inf]}], only_nan="True") is None
    assert judged("ExplodingTensor", [{"kernel": [np.nan]}], only_nan="True") == 0
    assert judged("ExplodingTensor", [({}, {"loss": np.nan})]) == 0
    assert judged("AllZero", [{"bias": [0, 0]}], tensor_regex=".*bias") == 0
    assert judged("AllZero", [{"bias": [0, 1]}], collection_names="biases") is None
    assert judged("AllZero", [{"bias": [0, 1]}], tensor_regex=".*bias", threshold="50") == 0
    dead, alive = np.zeros((200, 4)), np.zeros((200, 4))
    dead[0], alive[:4] = 1, 1  # 0.5 and 2 per cent of the examples
    assert judged("DeadRelu", [{"dense/relu_output": dead}]) == 0
    assert judged("DeadRelu", [{"dense/relu_output": alive}]) is None
    assert judged("DeadRelu", [{"dense/relu_output": alive}], threshold_inactivity="3") == 0
    assert judged("SaturatedActivation", [{"a/tanh_input": dead + 12}]) == 0
    assert judged("SaturatedActivation", [{"a/sigmoid_input": dead + 12}]) is None
    narrow = {"threshold_sigmoid": "(-5, 5)"}
    assert judged("SaturatedActivation", [{"a/sigmoid_input": dead + 12}], **narrow) == 0
    still = [{"kernel": [1.0]}, {"kernel": [2.0]}, *[{"kernel": [3.0]}] * 3]
    assert judged("UnchangedTensor", still, tensor_regex="kernel") == 4
    assert judged("UnchangedTensor", still[:4], tensor_regex="kernel") is None
    assert judged("WeightUpdateRatio", still[:2]) is None
    assert judged("WeightUpdateRatio", still[:2], large_threshold="0.5") == 1
    assert judged("WeightUpdateRatio", still) == 3  # an update of zero
    few = {"samples": "20"}
    balanced = [{"labels": [0, 1] * 5, "predictions": [0, 1] * 5}] * 4
    assert judged("ClassImbalance", balanced, **few) is None
    assert judged("ClassImbalance", [{"labels": [0] * 12 + [1]}] * 2, **few) == 1
    mistaken = [{"labels": [0, 1] * 5, "predictions": [0] * 10}] * 4
    assert judged("ClassImbalance", mistaken, **few) == 1
    columns = [{"labels": [0, 1] * 5, "predictions": [[0.9, 0.1]] * 10}] * 4
    assert judged("ClassImbalance", columns, argmax="True", **few) == 1


def test_a_job_tells_what_its_rules_found(aws):
    queue = boto3.client("sqs")
    url = queue.create_queue(QueueName="rules")["QueueUrl"]
    events, arn = boto3.client("events"), "arn:aws:sqs:us-east-1:123456789012:rules"
    pattern = {"detail": {"TrainingJobName": ["rule-judged"]}}
    events.put_rule(Name="rules", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="rules", Targets=[{"Id": "1", "Arn": arn}])
    script = "for step in range(30):\n    save(step, loss=1 / (step + 1), **{'gradient/a': [1.0]})"
    rules = rule("LossNotDecreasing"), rule("VanishingGradient", "Gone", threshold="2")
    job = train(aws, "rule-judged", script, *rules)
    assert job["TrainingJobStatus"] == "Completed"
    assert statuses(job) == {"LossNotDecreasing": "NoIssuesFound", "Gone": "IssuesFound"}
    [found] = [one for one in job["DebugRuleEvaluationStatuses"] if "StatusDetails" in one]
    assert "at step 0 resulted in the condition being met" in found["StatusDetails"]
    told = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    details = [json.loads(message["Body"])["detail"] for message in told]
    seen = [
        (detail["SecondaryStatus"], one["RuleEvaluationStatus"])
        for detail in details
        for one in detail["DebugRuleEvaluationStatuses"]
        if one["RuleConfigurationName"] == "Gone"
    ]
    assert ("Training", "IssuesFound") in seen and ("Starting", "InProgress") in seen
    stored = aws.s3.list_objects_v2(
        Bucket=aws.bucket, Prefix="debug/rule-judged/debug-output/train/"
    )
    assert stored["KeyCount"] == 1


def test_a_job_that_saves_no_tensor_ends_its_rules_with_an_error(aws):
    job = train(aws, "rule-blind", "", rule("LossNotDecreasing"), rule("Overfit"))
    assert job["TrainingJobStatus"] == "Completed"
    assert statuses(job) == {"LossNotDecreasing": "Error", "Overfit": "Error"}
    for one in job["DebugRuleEvaluationStatuses"]:
        assert one["StatusDetails"].startswith("ClientError: No debugging data was saved")
    other = train(aws, "rule-other", "save(0, bias=[1.0])", rule("LossNotDecreasing"))
    assert statuses(other) == {"LossNotDecreasing": "NoIssuesFound"}


def test_files_are_read_as_of_one_moment(aws, tmp_path, monkeypatch):
    from sandbox.debugger import Debugger

    train, validation = tmp_path / "a.tfevents", tmp_path / "validation" / "b.tfevents"
    validation.parent.mkdir()
    event = b"\x10\x07"  # an Event of step 7
    record = len(event).to_bytes(8, "little") + bytes(4) + event + bytes(4)
    for path in (train, validation):
        path.write_bytes(3 * record)
    size = len(record)
    torn = {train: size, validation: 3 * size}
    whole = {train: 2 * size, validation: 2 * size}
    looks = iter([torn, whole, whole])
    debugger = Debugger({"TrainingJobName": "x"}, print)
    monkeypatch.setattr(debugger, "sizes", lambda folders: next(looks))
    debugger.read([tmp_path])
    assert debugger.offsets == whole


def test_a_rule_stops_its_job(aws):
    script = (
        "for step in range(3000):\n    save(step, loss=1.0)\n    print(step)\n    time.sleep(0.02)"
    )
    stop = json.dumps({"name": "stoptraining", "training_job_prefix": "stopped-by-rule"})
    job = train(aws, "stopped-by-rule", script, rule("LossNotDecreasing", action_json=stop))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses(job) == {"LossNotDecreasing": "IssuesFound"}
    assert 10 < len(aws.log("stopped-by-rule")) < 2000


def test_actions_of_the_sdk_are_understood(aws):
    stop = rule_configs.StopTraining()
    actions = rule_configs.ActionList(stop, rule_configs.Email("team@example.com"))
    actions.update_training_job_prefix_if_not_specified("stopped-by-sdk")
    text = actions.serialize()
    assert text.startswith('[{\\"name\\"')
    script = "for step in range(3000):\n    save(step, loss=1.0)\n    time.sleep(0.02)"
    job = train(aws, "stopped-by-sdk", script, rule("LossNotDecreasing", action_json=text))
    assert job["TrainingJobStatus"] == "Stopped"


def test_another_prefix_stops_nothing(aws):
    stop = json.dumps({"name": "stoptraining", "training_job_prefix": "runs"})
    script = "for step in range(30):\n    save(step, loss=1.0)"
    job = train(aws, "rule-it-runs", script, rule("LossNotDecreasing", action_json=stop))
    assert job["TrainingJobStatus"] == "Completed"
    assert statuses(job) == {"LossNotDecreasing": "IssuesFound"}


def test_a_rule_writes_to_its_subscribers(aws):
    queue, sns = boto3.client("sqs"), boto3.client("sns")
    url = queue.create_queue(QueueName="alarms")["QueueUrl"]
    topic = sns.create_topic(Name="SMDebugRules")["TopicArn"]
    queue_arn = "arn:aws:sqs:us-east-1:123456789012:alarms"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    mail = json.dumps([{"name": "email", "endpoint": "team@example.com"}])
    script = "save(0, loss=float('nan'))"
    job = train(aws, "rule-told", script, rule("ExplodingTensor", action_json=mail))
    assert statuses(job) == {"ExplodingTensor": "IssuesFound"}
    [message] = queue.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["Subject"] == "SMDebugRule:ExplodingTensor fired"
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert "team@example.com" in [one["Endpoint"] for one in subscriptions]


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        (rule("TreeDepth"), "the rule TreeDepth does not run here; rules that do: AllZero"),
        (rule("Overfit", patient="3"), "the rule Overfit has no parameter patient here"),
        (rule("AllZero"), "the rule AllZero needs collection_names or tensor_regex"),
        (rule("AllZero", collection_names="some"), "the collection some is not in Collection"),
        (
            rule("Overfit") | {"RuleEvaluatorImage": "123456789012.dkr.ecr.us-east-1/mine:1"},
            "custom rules do not run here",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(aws, wrong, sentence):
    with pytest.raises(NotImplementedError, match=sentence):
        train(aws, "rule-refused", "save(0, loss=1.0)", wrong)
    found = aws.sm.list_training_jobs(NameContains="rule-refused")
    assert found["TrainingJobSummaries"] == []


def test_profiler_rules_are_refused(aws):
    profiler = {"RuleConfigurationName": "CPU", "RuleEvaluatorImage": RULE_IMAGE}
    with pytest.raises(NotImplementedError, match="has no profiler rules"):
        train(aws, "rule-profiled", "", ProfilerRuleConfigurations=[profiler])


def test_what_is_no_event_ends_the_job(aws):
    script = "open(os.path.join(folder, 'x.tfevents'), 'wb').write(b'\\2' + bytes(31))"
    job = train(aws, "rule-torn", script, rule("ExplodingTensor"))
    assert job["TrainingJobStatus"] == "Failed" and "DecodeError" in job["FailureReason"]
