"""Tuning jobs search."""

import threading
import time
import types

import botocore.exceptions
import numpy as np
import pytest
from local_aws import Aws, alpha, at, values


@pytest.fixture(scope="module")
def aws():
    return Aws()


def test_grid(aws):
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "alpha", "Values": ["1", "2", "4"]},
            {"Name": "epochs", "Values": ["2", "4"]},
        ]
    }
    request = aws.tuning(
        "grid", "Grid", ParameterRanges=ranges, ResourceLimits={"MaxParallelTrainingJobs": 3}
    )
    request["TrainingJobDefinition"]["StaticHyperParameters"].pop("epochs")
    tuned, jobs = aws.tune(request)
    tried = [
        (job["TunedHyperParameters"]["alpha"], job["TunedHyperParameters"]["epochs"])
        for job in jobs
    ]
    assert tried == [(a, e) for a in "124" for e in "24"]
    assert values(jobs) == pytest.approx([1 - (float(a) - 2) ** 2 - 1 / float(e) for a, e in tried])
    assert tuned["BestTrainingJob"]["TunedHyperParameters"] == {"alpha": "2", "epochs": "4"}
    assert (
        tuned["TrainingJobStatusCounters"]["Completed"]
        == tuned["ObjectiveStatusCounters"]["Succeeded"]
        == 6
    )


def right_best(tuned, jobs, choose=max):
    """Says whether the best job is the best of those that completed, and its model really has that
    objective.
    """
    done = [job for job in jobs if job["TrainingJobStatus"] == "Completed"]
    best = tuned["BestTrainingJob"]
    objective = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    exact = 1 - (float(best["TunedHyperParameters"]["alpha"]) - 2) ** 2 - 1 / 9
    return objective == choose(values(done)) == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_random_and_bayesian(aws, strategy):
    limits = {"MaxNumberOfTrainingJobs": 12, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(aws.tuning(strategy, strategy, ResourceLimits=limits))
    assert len(jobs) == 12 and right_best(tuned, jobs)
    assert {job["TrainingJobStatus"] for job in jobs} == {"Completed"}
    away = [abs(float(job["TunedHyperParameters"]["alpha"]) - 2) for job in jobs]
    # after its three random jobs Bayesian search has found the maximum, random search has not
    assert (min(away[3:]) < 0.02) == (strategy == "Bayesian")


def test_bayesian_learns_between_batches_only(aws):
    found = []
    for parallel in (1, 8):
        limits = {"MaxNumberOfTrainingJobs": 8, "MaxParallelTrainingJobs": parallel}
        _, jobs = aws.tune(aws.tuning(f"parallel-{parallel}", "Bayesian", ResourceLimits=limits))
        found.append([job["TunedHyperParameters"]["alpha"] for job in jobs])
    assert found[0][:3] == found[1][:3] and found[0] != found[1]


def test_hyperband_stops_poor_jobs(aws):
    limits = {"MaxNumberOfTrainingJobs": 12, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(aws.tuning("hyperband", "Hyperband", ResourceLimits=limits))
    states = [job["TrainingJobStatus"] for job in jobs]
    assert right_best(tuned, jobs)
    assert 0 < states.count("Stopped") == tuned["TrainingJobStatusCounters"]["Stopped"] < 12
    assert max(values(jobs)) == max(
        value for value, state in zip(values(jobs), states) if state == "Completed"
    )


def test_early_stopping(aws):
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "alpha", "Values": ["2", "2.1", "1.9", "4", "2.05"]}
        ]
    }
    request = aws.tuning(
        "early", "Grid", ParameterRanges=ranges, ResourceLimits={"MaxParallelTrainingJobs": 1}
    )
    request["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] = "Auto"
    _, jobs = aws.tune(request)
    assert [job["TrainingJobStatus"] for job in jobs] == ["Completed"] * 3 + [
        "Stopped",
        "Completed",
    ]
    stopped = aws.sm.describe_training_job(TrainingJobName=jobs[3]["TrainingJobName"])
    assert stopped["ModelArtifacts"] == {} and values(jobs)[3] == -4  # after its first epoch


def test_minimize(aws):
    request = aws.tuning("minimize")
    request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"] = (
        "Minimize"
    )
    assert right_best(*aws.tune(request), choose=min)


@pytest.mark.parametrize(
    "scale, low, high",
    [
        ("Logarithmic", "1e-6", "1"),
        ("Auto", "1e-6", "1"),
        ("ReverseLogarithmic", "0", "0.999999"),
        ("Linear", "1e-6", "1"),
    ],
)
def test_scales(aws, scale, low, high):
    ranges = {"ContinuousParameterRanges": [alpha(low, high, ScalingType=scale)]}
    _, jobs = aws.tune(
        aws.tuning(
            f"scale-{scale}",
            ParameterRanges=ranges,
            ResourceLimits={"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 1},
        )
    )
    drawn = np.median([float(job["TunedHyperParameters"]["alpha"]) for job in jobs])
    assert drawn > 0.95 if scale == "ReverseLogarithmic" else (drawn < 0.05) == (scale != "Linear")


def test_completion_criteria(aws):
    tuned, jobs = aws.tune(
        aws.tuning("target", TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.5})
    )
    assert values(jobs)[-1] >= 0.5 > max(values(jobs)[:-1], default=-9) and len(jobs) < 6
    criteria = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    limits = {"MaxNumberOfTrainingJobs": 40, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(
        aws.tuning("idle", TuningJobCompletionCriteria=criteria, ResourceLimits=limits)
    )
    assert max(values(jobs)) == values(jobs)[-4] and len(jobs) < 40
    assert tuned["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 3}


def test_tuning_time(aws, monkeypatch):
    from sandbox import tuning

    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(tuning, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    limits = {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(aws.tuning("time", ResourceLimits=limits | {"MaxRuntimeInSeconds": 150}))
    assert (tuned["HyperParameterTuningJobStatus"], len(jobs)) == ("Stopped", 2)


def test_tuning_without_a_result(aws):
    tuned, jobs = aws.tune(aws.tuning("silent", static={"act": "silent"}))
    assert tuned["HyperParameterTuningJobStatus"] == "Failed" and "BestTrainingJob" not in tuned
    assert "No objective metrics found after running 6 training jobs" in tuned["FailureReason"]
    assert {job["ObjectiveStatus"] for job in jobs} == {"Failed"}
    ask = {"HyperParameterTuningJobName": "silent", "SortBy": "FinalObjectiveMetricValue"}
    assert (
        aws.sm.list_training_jobs_for_hyper_parameter_tuning_job(**ask)["TrainingJobSummaries"]
        == []
    )
    tuned, jobs = aws.tune(aws.tuning("failing", static={"act": "fail"}))
    assert "All training jobs failed: AlgorithmError" in tuned["FailureReason"]
    assert tuned["TrainingJobStatusCounters"]["NonRetryableError"] == 6


def warm(request, *parents, kind="IdenticalDataAndAlgorithm"):
    names = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return request | {
        "WarmStartConfig": {"ParentHyperParameterTuningJobs": names, "WarmStartType": kind}
    }


def test_warm_start(aws):
    limits = {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 1}
    parent, _ = aws.tune(aws.tuning("parent", "Random", ResourceLimits=limits))
    few = {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1}
    cold, cold_jobs = aws.tune(aws.tuning("cold", "Bayesian", ResourceLimits=few))
    child, jobs = aws.tune(warm(aws.tuning("child", "Bayesian", ResourceLimits=few), "parent"))
    assert values(jobs) != values(cold_jobs) and "OverallBestTrainingJob" not in cold
    both = [parent["BestTrainingJob"], child["BestTrainingJob"]]
    overall = child["OverallBestTrainingJob"]
    assert values([overall])[0] == max(values(both))
    assert overall["TuningJobName"] in ("parent", "child")
    other, _ = aws.tune(
        warm(
            aws.tuning("transfer", "Bayesian", ResourceLimits=few),
            "parent",
            kind="TransferLearning",
        )
    )
    assert "OverallBestTrainingJob" not in other


def test_warm_start_rules(aws):
    aws.tune(
        aws.tuning(
            "base", ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
        )
    )
    other = aws.tuning("w")
    other["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"] = (
        "noise"
    )
    more = aws.tuning("w", static={"sleep": "0"})
    data = aws.tuning("w")
    data["TrainingJobDefinition"]["InputDataConfig"] = [aws.channel("train", "data")]
    for request, message in (
        (warm(aws.tuning("w"), "nobody"), "does not exist"),
        (warm(other, "base"), "must have the same objective"),
        (warm(more, "base"), "must have as many static"),
        (warm(data, "base"), "must have the same input data"),
        (warm(aws.tuning("w"), *["base"] * 6), "less than or equal to 5"),
        (warm(aws.tuning("w"), "base", kind="IDENTICAL"), "enum value set"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match=message):
            aws.sm.create_hyper_parameter_tuning_job(**request)
    assert (
        aws.tune(warm(data, "base", kind="TransferLearning"))[0]["HyperParameterTuningJobStatus"]
        == "Completed"
    )


def test_tuning_is_stopped_by_a_call(aws):
    thread = threading.Thread(
        target=aws.tune, args=(aws.tuning("halted", static={"sleep": "0.1"}),)
    )
    thread.start()
    for _ in range(100):
        time.sleep(0.05)
        try:
            aws.sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
            break
        except aws.sm.exceptions.ResourceNotFound:
            pass  # not yet there
    thread.join(20)
    tuned = aws.sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
    assert tuned["HyperParameterTuningJobStatus"] == "Stopped"
    assert sum(tuned["TrainingJobStatusCounters"].values()) < 6
    with pytest.raises(botocore.exceptions.ClientError, match="in status Stopped"):
        aws.sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")


def test_a_tuning_job_of_several_hosts(aws):
    request = aws.tuning(
        "hosts", ResourceLimits=dict(MaxNumberOfTrainingJobs=2, MaxParallelTrainingJobs=1)
    )
    path = "TrainingJobDefinition.ResourceConfig.InstanceCount"
    tuned, jobs = aws.tune(at(request, path, 2))
    assert right_best(tuned, jobs)
    assert aws.log(jobs[0]["TrainingJobName"], "algo-2")[-1].startswith("epoch=9")
