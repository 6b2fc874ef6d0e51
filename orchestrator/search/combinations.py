"""Whether a sampler, a pruner and a study fit together: asked before anything starts, from the table in capabilities.py."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from models.parts.effect import without_effect
from orchestrator.errors import UserError
from orchestrator.search import capabilities
from orchestrator.search.capabilities import DEFAULT_PRUNER, PRUNERS, SAMPLERS, STARTUP_TRIALS, listed
from orchestrator.search.spec import GRID_POINTS, Spec
from orchestrator.text import counted, program
from studies.parts import space as _space
from studies.parts.space import Parameter
from studies.parts.study import Study

MOST_POINTS = 1_000_000  # of a grid


@dataclass(frozen=True)
class Problem:
    """What a sampler and a pruner have to deal with. ``parameters`` are those that are not held at a value."""

    objectives: int
    parameters: Mapping[str, Parameter]
    common: frozenset[str]  # those of them that every configuration has, with the same range
    points: int  # of the grid
    reports: int | None  # of the objective in a trial, the last one included; None: not known
    trials: int
    together: int = 1  # trials that the study runs at the same time
    deterministic: bool = False

    def learned(self, sampler: str) -> list[str]:
        """The parameters that the sampler's model covers; the others are chosen at random."""
        ability = SAMPLERS[sampler]
        return [
            name
            for name, parameter in self.parameters.items()
            if (ability.choices if parameter.choices else ability.numbers) == "learned"
            and (name in self.common or ability.branches == "learned")
        ]


@dataclass(frozen=True)
class Misfit:
    """Why a sampler or a pruner cannot do what is asked, and the way out, as two halves of a sentence."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


def problem(spec: Spec, study: Study[Any, Any]) -> Problem:
    """What the sampler and the pruner of a sweep have to deal with. Raises StudyError where the space cannot be used."""
    whole = of_study(study, study.config.model_validate(spec.base), spec.space_of(study))
    return replace(whole, trials=spec.trials, deterministic=spec.deterministic)


def of_study(study: Study[Any, Any], base: Any, space: _space.Space[Any] | None = None) -> Problem:
    """The same for a study with the recipe ``base``, and its own space unless another one is given."""
    outline = _space.outline(space or study.space, base, GRID_POINTS)
    return Problem(
        objectives=len(study.objectives),
        parameters={name: parameter for name, parameter in outline.parameters.items() if not parameter.single},
        common=outline.common,
        points=outline.points,
        reports=study.reports(base),
        trials=study.trials,
        together=study.together,
    )


def sampler_misfit(name: str, problem: Problem) -> Misfit | None:
    """Why the sampler cannot search this; None where it can."""
    reason = _sampler_reason(name, problem)
    if not reason:
        return None
    if missing := capabilities.missing(SAMPLERS[name].libraries):
        return Misfit(reason, f"install it: pip install {' '.join(missing)}")
    fitting = [other for other in SAMPLERS if not _sampler_reason(other, problem)]
    return Misfit(reason, f"take --sampler {listed(fitting)}")


def _sampler_reason(name: str, problem: Problem) -> str:
    ability = SAMPLERS[name]
    if missing := capabilities.missing(ability.libraries):
        return f"--sampler {name} needs {' and '.join(missing)}, which is not installed here"
    if ability.objectives is not None and problem.objectives > ability.objectives:
        return f"--sampler {name} searches one objective, and there are {problem.objectives}"
    if ability.learns and problem.parameters and not problem.learned(name):
        kind = "numbers" if ability.choices == "random" else "parameters"
        return f"--sampler {name} learns {kind} that every configuration has, and there is none to search"
    if ability.numbers == "all" and problem.points > MOST_POINTS:
        return f"--sampler {name} tries every point, and this grid has {problem.points:,} of at most {MOST_POINTS:,}"
    return ""


def pruner_misfit(name: str, problem: Problem) -> Misfit | None:
    """Why the pruner can never act, or not as asked; None where it can."""
    ability = PRUNERS[name]
    if problem.deterministic and not ability.deterministic:
        return Misfit(f"--deterministic cannot prune by {name}, which looks at trials that run", "take median or none")
    remedy = "take --pruner none: every trial runs to its end"
    if ability.objectives is not None and problem.objectives > ability.objectives:
        return Misfit(f"--pruner {name} compares trials by one objective, and there are {problem.objectives}", remedy)
    if problem.reports is not None and problem.reports - 1 < ability.earlier:
        reports = counted(problem.reports, "report")
        return Misfit(f"--pruner {name} ends a trial early by its reports, and a trial has {reports} here", remedy)
    return None


def fitting(problem: Problem) -> tuple[list[str], list[str], list[str]]:
    """The samplers that fit, the pruners that fit, and why the others do not."""
    sampler_misfits = {name: sampler_misfit(name, problem) for name in SAMPLERS}
    pruner_misfits = {name: pruner_misfit(name, problem) for name in PRUNERS}
    return (
        [name for name, misfit in sampler_misfits.items() if misfit is None],
        [name for name, misfit in pruner_misfits.items() if misfit is None],
        [misfit.reason for misfit in [*sampler_misfits.values(), *pruner_misfits.values()] if misfit],
    )


def pruner_in_force(name: str, problem: Problem) -> str:
    """The pruner, or none in place of the default one where that cannot act."""
    return "none" if name == DEFAULT_PRUNER and pruner_misfit(name, problem) else name


def settled(spec: Spec, study: Study[Any, Any]) -> Spec:
    """The sweep with the pruner that is in force; UserError where its sampler or pruner does not fit the study."""
    if spec.comparison:
        return spec
    asked = problem(spec, study)
    spec = spec.model_copy(update={"pruner": pruner_in_force(spec.pruner, asked)})
    if misfit := sampler_misfit(spec.sampler, asked) or pruner_misfit(spec.pruner, asked):
        raise UserError(str(misfit))
    return spec


def blocked(spec: Spec, study: Study[Any, Any]) -> Misfit | None:
    """Why a stored sweep cannot go on as it is, and the way out; None where it can.

    A pruner that cannot act blocks nothing: trials run to their ends.
    """
    misfit = None if spec.comparison else sampler_misfit(spec.sampler, problem(spec, study))
    if misfit is None:
        return None
    install = f"{misfit.remedy}, or " if "pip install" in misfit.remedy else ""
    remedy = f"{install}go on with another sampler:  {program()} resume {spec.name} --sampler tpe"
    return Misfit(misfit.reason, remedy)


def notes(spec: Spec, study: Study[Any, Any]) -> list[str]:
    """What a user may not expect of this combination, a sentence each, for the plan."""
    asked = problem(spec, study)
    always = [*spec.data_notes, spec.caution, *_without_effect(spec, study, asked)]
    if spec.comparison:
        if spec.comparison.race and asked.objectives > 1:
            always = [f"the race compares arms by {spec.objectives[0][0]} alone", *always]
        return [sentence for sentence in always if sentence]
    sentences = [_size(spec, asked), _random(spec.sampler, asked), _first(spec.sampler, asked), _pruning(spec, asked)]
    sentences += always
    if asked.together > 1 and spec.deterministic:
        sentences.append(f"--deterministic runs one trial at a time, where {asked.together} could run together")
    return [sentence for sentence in sentences if sentence]


def _size(spec: Spec, asked: Problem) -> str:
    if spec.sampler == "grid":
        if asked.points <= asked.trials:
            return f"the grid has {counted(asked.points, 'point')}, so the sweep ends after {counted(asked.points)}"
        return f"the grid has {asked.points:,} points; {asked.trials} of them are tried, spread over the whole"
    return "" if asked.parameters else "nothing is left to search: trials differ only by their seeds"


def _random(sampler: str, asked: Problem) -> str:
    learned = asked.learned(sampler)
    others = [name for name in asked.parameters if name not in learned]
    if not SAMPLERS[sampler].learns or not others:
        return ""
    return f"{sampler} models {', '.join(learned)}; it chooses {', '.join(others)} at random"


def _first(sampler: str, asked: Problem) -> str:
    """When the sampler's model matters for the first time."""
    if not SAMPLERS[sampler].learns or not asked.parameters:
        return ""
    begin = STARTUP_TRIALS
    if sampler == "cmaes":  # a generation is complete before it learns: Hansen's population size
        begin += 4 + math.floor(3 * math.log(max(1, len(asked.learned(sampler)))))
    if asked.together > begin and not asked.deterministic:
        return f"up to {asked.together} trials run together; those that start first are chosen without a model"
    if asked.trials <= begin:
        return (
            f"{sampler} learns after {begin} completed trials, and the total is {asked.trials}: its model is never used"
        )
    return ""


def _pruning(spec: Spec, asked: Problem) -> str:
    if spec.pruner == "none" and (misfit := pruner_misfit(DEFAULT_PRUNER, asked)):
        return f"no trial is pruned: {misfit.reason.removeprefix('--pruner ')}"
    return ""


def _without_effect(spec: Spec, study: Study[Any, Any], asked: Problem) -> list[str]:
    """Settings that the user chose, or that are searched or compared, and that no trial uses; a sentence for each cause."""
    parameters, comparison = spec.parameters(), spec.comparison
    possible: dict[str, list[Any] | None] = {name: [value] for name, value in (spec.base | spec.fixed).items()}
    for name, parameter in parameters.items():
        always = comparison or name in asked.common or name in spec.set or parameter.single
        possible[name] = [*parameter.choices, *([] if always else [spec.base.get(name)])] if parameter.choices else None
    chosen = {*spec.set, *spec.fixed, *parameters}
    reasons = {name: why for name, why in without_effect(study.config, possible).items() if name in chosen}
    reasons |= _alike(spec, study)
    sentences = list[str]()
    for why in dict.fromkeys(reasons.values()):
        names = [name for name in reasons if reasons[name] == why]
        one = len(names) == 1
        listing = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        sentence = f"{listing} {'has' if one else 'have'} no effect with {why}"
        if comparison and comparison.settings.keys() & {*names}:
            sentence += f", so arms that differ in {'it' if one else 'them'} alone are the same"
        sentences.append(sentence)
    return sentences


def _alike(spec: Spec, study: Study[Any, Any]) -> dict[str, str]:
    """The settings in which arms of a comparison differ that do the same, and what takes their effect away."""
    reasons, first = dict[str, str](), dict[str, Mapping[str, Any]]()
    for arm in spec.comparison.arms if spec.comparison else ():
        idle = without_effect(study.config, {name: [value] for name, value in (spec.base | arm.settings).items()})
        effective = json.dumps({name: value for name, value in arm.settings.items() if name not in idle})
        other = first.setdefault(effective, arm.settings)
        reasons |= {name: idle[name] for name, value in arm.settings.items() if value != other[name]}
    return reasons
