"""Which artifacts a build is to have."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from igf_mobile import backends, recipes, schemes
from igf_mobile.errors import DamagedFile
from igf_mobile.layers import layer_names
from igf_mobile.manifest import ArtifactRecord
from igf_mobile.model import Generator
from igf_mobile.recipes import Recipe


@dataclass(frozen=True)
class Job:
    """One artifact to be had."""

    backend: str
    scheme: str
    """A scheme's name, or that of `recipe`."""
    recipe: Recipe | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """`<backend>-<scheme>`; also the folder of its mattes."""
        return f"{self.backend}-{self.scheme}"


def order(job: Job) -> tuple[str, int]:
    """By backend, then as in `schemes`: fp32 comes before what is compared with it; recipes come last."""
    names = list(schemes.SCHEMES)
    return job.backend, names.index(job.scheme) if job.scheme in names else len(names)


def wanted_jobs(
    backend_names: Sequence[str], scheme_names: Sequence[str] | None = None, recipe: Recipe | None = None
) -> list[Job]:
    """What to export: the schemes asked for, or all that each backend has, fp32 first.

    With a recipe: it, and no scheme but fp32 unless it is asked for.

    Raises:
        ValueError: an unknown backend, or a scheme that one of the backends does not have.
    """
    result = []
    if recipe is not None:
        scheme_names = scheme_names or ["fp32"]
    for name in backend_names:
        available = backends.get(name).schemes
        for scheme in scheme_names or available:
            if scheme not in available:
                raise ValueError(f"{name} has no scheme {scheme!r}; it has {', '.join(available)}")
        wanted = set(scheme_names or available) | {"fp32"}  # the step to the float artifact is always there
        result += [Job(name, scheme) for scheme in available if scheme in wanted]
        if recipe is not None:
            result.append(Job(name, recipe.name, recipe))
    return result


def recipe_layers(job: Job, model: Generator) -> dict[str, str] | None:
    """Layer -> precision of a job with a recipe; None of one without.

    Raises:
        ValueError: the recipe does not fit the network or the backend, or is a scheme by another name.
    """
    if job.recipe is None:
        return None
    layers = job.recipe.resolve(layer_names(model))
    recipes.check_precisions(job.recipe.name, layers, job.backend, backends.get(job.backend).layer_precisions)
    if len(kinds := set(layers.values())) == 1:
        scheme = {recipes.FLOAT: "fp32"}.get(kind := kinds.pop(), kind)
        raise ValueError(f"recipe {job.recipe.name!r} gives every layer {kind}: that is scheme {scheme}")
    return layers


def job_of(record: ArtifactRecord, folder: Path) -> Job | None:
    """The job that made an artifact; None where its recipe is not there any more."""
    if record.recipe is None:
        return Job(record.backend, record.scheme)
    try:
        recipe = recipes.load_recipe(folder / record.recipe.file.file)
    except (DamagedFile, ValueError):
        return None
    return Job(record.backend, record.scheme, recipe) if recipe.name == record.scheme else None
