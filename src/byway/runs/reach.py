"""How far back the rules of a run assign credit, as it was measured and kept beside the run."""

from byway.core.errors import RunError
from byway.runs.folder import REACH, as_written, read_json, write_json
from byway.runs.outcomes import Outcomes
from byway.runs.predictors import predictor_of
from byway.training.reach import Reach, measured


def measure_reach(run: Outcomes, steps: int, lengths: tuple[int, ...], batch: int) -> Reach:
    """Measure it on the network that each rule trained, with its first seed, and keep it beside the
    run, if that is on disk.

    Raises:
        RunError: no rule of the run works in time.
    """
    learners = {}
    for label in run.finished:
        held = predictor_of(run, label)
        if held.rule.in_time and not held.net.feedforward:
            learners[label] = (held.rule, held.net, held.gamma)
    if not learners:
        raise RunError(
            "the reach of a run in which no rule works in time",
            "a rule on sequences that has finished",
            "see byway.reach for any rule and network",
        )
    found = measured(learners, steps, lengths, batch)
    if run.folder is not None:
        write_json(run.folder / REACH, found.to_json())
    return found


def reach_of(run: Outcomes) -> Reach | None:
    """What is kept of it; None where it was not measured.

    Raises:
        RunError: the file is broken.
    """
    path = None if run.folder is None else run.folder / REACH
    if path is None or not path.is_file():
        return None
    with as_written(path):
        return Reach.from_json(read_json(path))
