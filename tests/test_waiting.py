"""A job that was created is waited for before anything reads what it leaves: on AWS the create
call returns at once, while the sandbox may be done by then.
"""

import ast

import pytest
from notebooks import CHAPTERS, code_cells, read

JOBS = ("_job", "_job_v2", "create_endpoint")  # what a create call that runs on ends with
READS = (
    "describe_training_job",
    "describe_processing_job",
    "describe_transform_job",
    "describe_hyper_parameter_tuning_job",
    "describe_auto_ml_job",
    "describe_endpoint",
    "list_training_jobs",
    "get_object",
    "head_object",
    "download_file",
    "invoke_endpoint",
)


def calls(node, functions):
    """Yield the names of the calls and loops below a node in the order in which they run; a call
    of one of the functions, by name, stands for its body.
    """
    if isinstance(node, ast.FunctionDef):
        return
    if isinstance(node, ast.While):
        yield "while"
        return
    for child in ast.iter_child_nodes(node):
        yield from calls(child, functions)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield node.func.attr
        elif isinstance(node.func, ast.Name):
            others = {name: body for name, body in functions.items() if name != node.func.id}
            for statement in functions.get(node.func.id, []):
                yield from calls(statement, others)


def read_too_early(sources):
    """Yield a sentence for each call in the sources that reads a job before it was waited for."""
    functions, pending = {}, None
    for source in sources:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                functions[node.name] = node.body
        for name in calls(tree, functions):
            if name in {"while", "wait"}:
                pending = None
            elif pending and name.startswith(READS):
                yield f"{name} reads what {pending} has only begun"
            if name.startswith("create_") and name.endswith(JOBS):
                pending = name


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_job_is_waited_for(path):
    assert list(read_too_early(cell.source for cell in code_cells(read(path)))) == []


CREATE = "sm.create_training_job(**request)"
DESCRIBE = "sm.describe_training_job(TrainingJobName=name)"


@pytest.mark.parametrize(
    "sources",
    [
        [CREATE, DESCRIBE],
        [CREATE, "print(s3.get_object(**model)['Body'].read())"],
        ["def start():\n    " + CREATE, "start()", DESCRIBE],
        ["def start():\n    " + CREATE, "start()", "done.wait()", "start()", DESCRIBE],
        ["for request in requests:\n    " + CREATE, DESCRIBE],
        ["sm.create_endpoint(**request)", "runtime.invoke_endpoint(EndpointName=name)"],
        ["done.wait()", CREATE, DESCRIBE],
    ],
)
def test_reading_too_early_is_rejected(sources):
    [sentence] = read_too_early(sources)
    assert "has only begun" in sentence


@pytest.mark.parametrize(
    "sources",
    [
        [CREATE, "done.wait(TrainingJobName=name)", DESCRIBE],
        [CREATE, f"while {DESCRIBE}['TrainingJobStatus'] == 'InProgress':\n    sleep(30)"],
        [f"def follow():\n    while True:\n        {DESCRIBE}", CREATE, "follow()", DESCRIBE],
        ["sm.create_model(**request)", "sm.describe_model(ModelName=name)"],
    ],
)
def test_waiting_passes(sources):
    assert list(read_too_early(sources)) == []
