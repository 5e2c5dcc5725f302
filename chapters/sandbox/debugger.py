"""Debugger rules: judge the tensors that a job saves while it runs, and act.

The script writes event files, the format of SMDebug and TensorBoard, below the LocalPath of
DebugHookConfig: one record a tensor, its tag being the tensor's name. Files in a folder called
`validation` or `eval` are of the mode EVAL, all others of TRAIN. A step is judged as soon as a
later one is there, or the job has ended. Where a job has saved no tensor, its rules end with Error
and the words of AWS's evaluator, https://github.com/tensorflow/tensorflow/issues/51414.

Conditions, parameters and defaults are those of AWS's list of built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html (a copy of 2023), names
of tensors and actions those of smdebug 1.0.34; AWS's own programs are not public.
"""

import json
import re

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_ndarray

from .api import arn, client, now

IMAGE = "sagemaker-debugger-rules"
NOTHING_SAVED = (
    "ClientError: No debugging data was saved by the training job. Check that the debugger hook was"
    " configured correctly before starting the training job. Exception: Training job has ended. All"
    " the collection files could not be loaded\n"
)
COLLECTIONS = {
    "all": ".*",
    "losses": ".*loss",
    "gradients": "gradient",
    "weights": "(?!gradient).*(weight|kernel)",
    "biases": "(?!gradient).*bias",
}
RULES = {}  # name: function(parameters) -> function(step, {mode: {tag: array}}) -> bool
EVAL, TRAIN = "EVAL", "TRAIN"


def rule(function):
    """Register a maker of judges under its name in CamelCase; a decorator."""
    RULES["".join(word.title() for word in function.__name__.split("_"))] = function
    return function


class Parameters:
    """The RuleParameters of a rule, which are texts, and the collections of its job."""

    def __init__(self, given, collections):
        """Take {name: text} and {collection: expression}."""
        self.given, self.collections, self.known = given, collections, set()

    def get(self, name, default=None):
        """Return a parameter in the type of its default, or as text."""
        self.known.add(name)
        text = self.given.get(name)
        if text is None:
            return default
        if isinstance(default, bool):
            return text.lower() == "true"
        return text if default is None else float(text)

    def chooser(self, default=None):
        """Return a function that says whether a tag is among those to inspect.

        `default` is an expression for rules whose parameters name none. Raises NotImplementedError
        where there is neither.
        """
        names = re.split(r"[,\s]+", self.get("collection_names") or "")
        unknown = [name for name in names if name and name not in self.collections]
        if unknown:
            raise NotImplementedError(
                f"the collection {unknown[0]} is not in CollectionConfigurations and not built in"
            )
        expressions = [self.collections[name] for name in names if name]
        expressions += [part.strip() for part in (self.get("tensor_regex") or "").split(",")]
        expressions = [part for part in expressions if part] or [default]
        if expressions == [None]:
            raise NotImplementedError(
                f"the rule {self.given['rule_to_invoke']} needs collection_names or tensor_regex"
            )
        return lambda tag: any(re.match(part, tag) for part in expressions)

    def losses(self):
        """Return a function that gives the losses, {tag: number}, among tensors {tag: array}."""
        chosen = self.chooser(self.collections["losses"])
        return lambda tensors: {
            tag: float(array) for tag, array in tensors.items() if chosen(tag) and array.size == 1
        }


@rule
def vanishing_gradient(parameters):
    """Return a judge: is the mean size of a gradient below the threshold?"""
    threshold = parameters.get("threshold", 1e-7)
    chosen = parameters.chooser(parameters.collections["gradients"])
    return lambda step, seen: any(
        np.abs(array).mean() < threshold for tag, array in seen[TRAIN].items() if chosen(tag)
    )


@rule
def exploding_tensor(parameters):
    """Return a judge: is a number of a tensor NaN or, unless only_nan, infinite?"""
    chosen = parameters.chooser(".*")
    bad = np.isnan if parameters.get("only_nan", False) else lambda array: ~np.isfinite(array)
    return lambda step, seen: any(
        bad(array).any() for mode in seen.values() for tag, array in mode.items() if chosen(tag)
    )


@rule
def all_zero(parameters):
    """Return a judge: are so many per cent of a tensor's numbers zero?"""
    threshold, chosen = parameters.get("threshold", 100.0), parameters.chooser()
    return lambda step, seen: any(
        100 * (array == 0).mean() >= threshold for tag, array in seen[TRAIN].items() if chosen(tag)
    )


def inactive(parameters, layers):
    """Return a judge: are too many units of a layer active on too few examples, in per cent?

    `layers(tensors)` gives arrays (examples, ...) of what is active.
    """
    least = parameters.get("threshold_inactivity", 1.0)
    most = parameters.get("threshold_layer", 50.0)
    return lambda step, seen: any(
        100 * (100 * active.mean(0) < least).mean() > most for active in layers(seen[TRAIN])
    )


@rule
def dead_relu(parameters):
    """Return a judge: are more than threshold_layer per cent of a layer's ReLUs inactive?"""
    chosen = parameters.chooser(".*relu_output")
    return inactive(parameters, lambda seen: [a > 0 for tag, a in seen.items() if chosen(tag)])


@rule
def saturated_activation(parameters):
    """Return a judge: are more than threshold_layer per cent of tanh or sigmoid units saturated?"""
    chosen = parameters.chooser(".*(tanh|sigmoid)_input")
    bounds = {"tanh": (-9.4999, 9.4999), "sigmoid": (-23, 16.99999)}
    for kind in bounds:
        if given := parameters.get(f"threshold_{kind}"):
            bounds[kind] = tuple(float(part) for part in given.strip("()").split(","))

    def layers(seen):
        for tag, array in seen.items():
            if chosen(tag):
                low, high = bounds["sigmoid" if "sigmoid" in tag else "tanh"]
                yield (array > low) & (array < high)

    return inactive(parameters, layers)


@rule
def loss_not_decreasing(parameters):
    """Return a judge: has a loss not fallen by diff_percent over num_steps?

    Validation losses count where there are any, unless the parameter mode names another.
    """
    gap, percent = parameters.get("num_steps", 10.0), parameters.get("diff_percent", 0.0)
    wanted, losses, earlier, checked = parameters.get("mode"), parameters.losses(), {}, {}

    def judge(step, seen):
        fell = True
        for mode in (EVAL, TRAIN):
            for tag, loss in losses(seen[mode]).items():
                past = earlier.setdefault((mode, tag), [])
                last = checked.setdefault((mode, tag), step)
                if step >= last + gap:
                    checked[mode, tag] = step
                    old = [value for at, value in past if at <= step - gap][-1]
                    fell &= mode != using() or loss < old - abs(old) * percent / 100
                past.append((step, loss))
        return not fell

    def using():
        return wanted or (EVAL if any(mode == EVAL for mode, _ in earlier) else TRAIN)

    return judge


@rule
def overfit(parameters):
    """Return a judge: was the validation loss too far above the training loss, patience times?

    The training loss is the mean since the last validation.
    """
    start, patience = parameters.get("start_step", 0.0), parameters.get("patience", 1.0)
    threshold, losses = parameters.get("ratio_threshold", 0.1), parameters.losses()
    train, above = [], [0]

    def judge(step, seen):
        train.extend(losses(seen[TRAIN]).values())
        validation = list(losses(seen[EVAL]).values())
        if not (validation and train):
            return False
        ratio = np.mean(validation) / np.mean(train) - 1
        above[0] = above[0] + 1 if step >= start and ratio > threshold else 0
        train.clear()
        return above[0] >= patience

    return judge


@rule
def overtraining(parameters):
    """Return a judge: has neither loss improved by delta within its patience, in saved steps?"""
    patience = {TRAIN: parameters.get("patience_train", 5.0)}
    patience[EVAL] = parameters.get("patience_validation", 10.0)
    delta, losses = parameters.get("delta", 0.01), parameters.losses()
    best, waited = {}, {TRAIN: 0, EVAL: 0}

    def judge(step, seen):
        for mode in (TRAIN, EVAL):
            found = list(losses(seen[mode]).values())
            if found:
                better = np.mean(found) < best.get(mode, np.inf) - delta
                waited[mode] = 0 if better else waited[mode] + 1
                best[mode] = np.mean(found) if better else best[mode]
        return all(waited[mode] >= patience[mode] for mode in (TRAIN, EVAL))

    return judge


@rule
def unchanged_tensor(parameters):
    """Return a judge: are the last num_steps saved values of a tensor close to each other?"""
    count = int(parameters.get("num_steps", 3.0))
    close = {"rtol": parameters.get("rtol", 1e-5), "atol": parameters.get("atol", 1e-8)}
    close["equal_nan"] = parameters.get("equal_nan", False)
    chosen, past = parameters.chooser(), {}

    def judge(step, seen):
        found = False
        for tag, array in seen[TRAIN].items():
            if chosen(tag):
                past[tag] = [*past.get(tag, []), array][-count:]
                same = (np.allclose(old, array, **close) for old in past[tag][:-1])
                found |= len(past[tag]) == count and all(same)
        return found

    return judge


@rule
def weight_update_ratio(parameters):
    """Return a judge: is a weight's mean update too large or too small beside its mean size?"""
    large = parameters.get("large_threshold", 10.0)
    small, epsilon = parameters.get("small_threshold", 1e-8), parameters.get("epsilon", 1e-9)
    chosen, past = parameters.chooser(parameters.collections["weights"]), {}

    def judge(step, seen):
        found = False
        for tag, array in seen[TRAIN].items():
            if chosen(tag):
                old, past[tag] = past.get(tag), array
                if old is not None:
                    ratio = np.abs(array - old).mean() / (np.abs(old).mean() + epsilon)
                    found |= not small <= ratio <= large
        return found

    return judge


@rule
def class_imbalance(parameters):
    """Return a judge: is a class too rare among the labels, or a class mostly mistaken?"""
    most, wrong = (
        parameters.get("threshold_imbalance", 10.0),
        parameters.get("threshold_misprediction", 0.7),
    )
    needed, argmax = parameters.get("samples", 500.0), parameters.get("argmax", False)
    names = [parameters.get(f"{kind}_regex") or f".*{kind}" for kind in ("labels", "predictions")]
    labels, predictions = [], []

    def judge(step, seen):
        for expression, kept in zip(names, (labels, predictions), strict=True):
            for tag, array in seen[TRAIN].items():
                if re.match(expression, tag):
                    kept.extend((array.argmax(-1) if array.ndim > 1 and argmax else array).ravel())
        if len(labels) < needed:
            return False
        counts = np.unique(labels, return_counts=True)[1]
        if counts.max() > most * counts.min():
            return True
        if len(labels) != len(predictions):
            return False
        true, said = np.array(labels), np.array(predictions)
        return any((said[true == one] != one).mean() > wrong for one in np.unique(true))

    return judge


class Debugger:
    """The rules of one training job."""

    def __init__(self, request, tell):
        """Take a CreateTrainingJob request and a function that hears of new statuses.

        Raises NotImplementedError for other rules than RULES.
        """
        hook = request.get("DebugHookConfig", {})
        collections = dict(COLLECTIONS)
        for one in hook.get("CollectionConfigurations", []):
            expression = one.get("CollectionParameters", {}).get("include_regex")
            if expression:
                collections[one["CollectionName"]] = expression
        self.tell, self.judges, self.actions, self.statuses = tell, {}, {}, []
        for configuration in request.get("DebugRuleConfigurations", []):
            name = configuration["RuleConfigurationName"]
            given = configuration.get("RuleParameters", {})
            self.judges[name] = judge_of(configuration, given, collections)
            self.actions[name] = given.get("action_json", "")
            rule_job = f"{request['TrainingJobName'][:26]}-{name[:26]}".lower()
            status = {"RuleConfigurationName": name}
            status["RuleEvaluationJobArn"] = arn("processing-job", rule_job)
            status |= {"RuleEvaluationStatus": "InProgress", "LastModifiedTime": now()}
            self.statuses.append(status)
        if self.statuses:
            tell(self.statuses)
        self.offsets, self.waiting = {}, {}  # {path: bytes read}, {step: {mode: {tag: array}}}
        self.saved = False  # whether a tensor was read

    def sizes(self, folders):
        """Return {path: bytes} of the event files below these folders."""
        paths = [path for folder in folders for path in sorted(folder.rglob("*tfevents*"))]
        return {path: path.stat().st_size for path in paths}

    def read(self, folders):
        """Take in what the event files below these folders have gained, as of one moment.

        Two equal looks at the sizes belong to one moment, so that no file is ahead of another.
        """
        sizes = self.sizes(folders)
        while sizes != (later := self.sizes(folders)):
            sizes = later
        for path, size in sizes.items():
            mode = EVAL if {"validation", "eval"} & {*path.parts} else TRAIN
            begin = self.offsets.get(path, 0)
            with path.open("rb") as file:
                file.seek(begin)
                rest = file.read(size - begin)
            # a record: 8 bytes of length, 4 of a checksum, an Event, 4 of a checksum
            while len(rest) >= 16 + (length := int.from_bytes(rest[:8], "little")):
                self.take(Event.FromString(rest[12 : 12 + length]), mode)
                rest = rest[16 + length :]
            self.offsets[path] = size - len(rest)

    def take(self, event, mode):
        """Keep the numbers of an event for its step."""
        for value in event.summary.value:
            of_tensor = value.WhichOneof("value") == "tensor"
            array = make_ndarray(value.tensor) if of_tensor else np.array(value.simple_value)
            if array.dtype.kind in "biuf":
                step = self.waiting.setdefault(event.step, {TRAIN: {}, EVAL: {}})
                step[mode][value.tag] = array.astype(float)
                self.saved = True

    def look(self, folders, to_the_end=False):
        """Judge the steps that are complete, and act."""
        if not self.judges:
            return
        self.read(folders)
        for step in sorted(self.waiting)[: None if to_the_end else -1]:
            seen = self.waiting.pop(step)
            for name, judge in list(self.judges.items()):
                if judge(step, seen):
                    self.found(name, step)

    def finish(self, folders):
        """Judge what is left; rules without a tensor fail, others that found nothing have ended."""
        self.look(folders, to_the_end=True)
        for name in list(self.judges):
            if self.saved:
                self.end(name, "NoIssuesFound")
            else:
                self.end(name, "Error", StatusDetails=NOTHING_SAVED)

    def found(self, name, step):
        """End a rule whose condition holds, and take its actions."""
        met = f"Evaluation of the rule {name} at step {step} resulted in the condition being met"
        self.end(name, "IssuesFound", StatusDetails=f"RuleEvaluationConditionMet: {met}\n")
        act(self.actions[name], name)

    def end(self, name, status, **more):
        """Give a rule its final status, and tell."""
        self.judges.pop(name)
        new = {"RuleEvaluationStatus": status, "LastModifiedTime": now(), **more}
        self.statuses = [
            one | new if one["RuleConfigurationName"] == name else one for one in self.statuses
        ]
        self.tell(self.statuses)


def judge_of(configuration, given, collections):
    """Return the judge of a DebugRuleConfiguration; raise NotImplementedError for unknown ones."""
    image, name = configuration["RuleEvaluatorImage"], given.get("rule_to_invoke")
    if f"/{IMAGE}" not in image:
        raise NotImplementedError(
            f"custom rules do not run here: RuleEvaluatorImage must be one of AWS's {IMAGE} images"
        )
    if name not in RULES:
        raise NotImplementedError(
            f"the rule {name} does not run here; rules that do: {', '.join(sorted(RULES))}"
        )
    parameters = Parameters(given, collections)
    judge = RULES[name](parameters)
    other = given.keys() - parameters.known - {"rule_to_invoke", "action_json", "base_trial"}
    if other:
        raise NotImplementedError(f"the rule {name} has no parameter {min(other)} here")
    return judge


def act(text, name):
    """Take the actions of a rule, JSON, or with escaped quotes as the SDK's ActionList writes it
    (smdebug_rulesconfig 1.0.1, `Action.serialize`).

    As in smdebug 1.0.34 the text is put in lower case, so that a job with capitals in its name is
    not found; and a job is stopped only if it is the only one that runs and begins with the prefix.
    smdebug looks for it when the rule starts (smdebug/rules/action/stop_training_action.py), and
    this function at the alarm.
    """
    actions = json.loads(text.lower().replace('\\"', '"') or "[]")
    for action in actions if isinstance(actions, list) else [actions]:
        if action["name"] == "stoptraining" and action.get("training_job_prefix"):
            stop(action["training_job_prefix"])
        elif action["name"] in ("email", "sms") and action.get("endpoint"):
            message(action["name"], action["endpoint"], name)


def stop(prefix):
    """Stop the job that runs and begins with a prefix, if it is the only one."""
    sagemaker = client("sagemaker")
    found = sagemaker.list_training_jobs(NameContains=prefix, StatusEquals="InProgress")
    names = [job["TrainingJobName"] for job in found["TrainingJobSummaries"]]
    names = [name for name in names if name.startswith(prefix)]
    if len(names) == 1:
        sagemaker.stop_training_job(TrainingJobName=names[0])


def message(protocol, endpoint, name):
    """Publish to the topic SMDebugRules, to which the address is subscribed."""
    sns, attribute = client("sns"), "email" if protocol == "email" else "phone_num"
    topic = sns.create_topic(Name="SMDebugRules")["TopicArn"]
    present = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    if endpoint not in [one["Endpoint"] for one in present]:
        policy = {"FilterPolicy": json.dumps({attribute: [endpoint]})}
        sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint, Attributes=policy)
    sns.publish(
        TopicArn=topic,
        Subject=f"SMDebugRule:{name} fired",
        Message=f"SMDebugRule:{name} fired. ",
        MessageAttributes={attribute: {"DataType": "String", "StringValue": endpoint}},
    )
