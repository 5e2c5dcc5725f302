"""The check of the SDK's listing, with small stand-ins: only a CI job installs the SDK itself."""

import check_sdk
import pytest


def trainer(*, role, compute):
    """Stand for a class of the SDK."""


GOOD = {
    "TrainingJobName": "fraud-trees-1",
    "HyperParameters": {"rounds": "80"},
    "AlgorithmSpecification": {
        "ContainerEntrypoint": ["/bin/bash"],
        "MetricDefinitions": [{}, {}, {}],
    },
    "InputDataConfig": [
        {"ChannelName": name} for name in ["train", "validation", "code", "sm_drivers"]
    ],
    "ResourceConfig": {"InstanceType": "ml.m5.large"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 900},
}


def test_an_unknown_argument_is_rejected():
    known = {"Trainer": trainer}
    assert list(check_sdk.keywords("Trainer(role=1, compute=2); other(x=1)", known)) == []
    problems = list(check_sdk.keywords("Trainer(role=1, instance=2)", known))
    assert problems == ["Trainer has no argument instance"]


def test_a_request_as_the_chapter_describes_it_passes():
    assert list(check_sdk.request(GOOD)) == []


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"TrainingJobName": "job"}, "not so: the name begins with base_job_name"),
        ({"InputDataConfig": []}, "not so: the code comes as a channel"),
        (
            {"HyperParameters": {"sagemaker_submit_directory": "s3://x"}},
            "not so: no code is fetched from inside",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60}}, "not so: the limit is 900 seconds"),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.xlarge"}},
            "not so: the instance is ml.m5.large",
        ),
    ],
)
def test_another_request_is_rejected(change, sentence):
    assert list(check_sdk.request(GOOD | change)) == [sentence]
