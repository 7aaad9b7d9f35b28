"""From a prediction to an answer: what is refused, where the model holds back, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from models.bundle import Bundle, Manifest, Prediction
from models.card import DRAWN_NOTICE, NOTICE
from models.errors import NoChestError
from models.findings import TaskKind, columns_of_heads
from models.gates import (
    ADULT_FROM_YEARS,
    CHEST_RADIOGRAPH_FROM,
    IN_DISTRIBUTION_FROM,
    AgeVerdict,
    age_group_of,
    age_verdict,
)
from models.radiograph import RadiographTags
from serving.readers import Film
from serving.schemas import Decision, FindingAnswer, Gates, ModelName, PredictionResponse, Provenance

_PATIENTS = {"child": f"children under {ADULT_FROM_YEARS} years", "adult": f"adults from {ADULT_FROM_YEARS} years on"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says about a file.

    Attributes:
        response: as it is sent.
        bundle: that answered.
        prediction: what the response is made of.
        film: what the heat maps are laid over, where that was asked for.
    """

    response: PredictionResponse
    bundle: Bundle
    prediction: Prediction
    film: Film | None

    @property
    def film_asked_for(self) -> Film:
        """The film.

        Raises:
            ValueError: it was not asked for.
        """
        if self.film is None:
            raise ValueError("expected an answer with its film, but it was not asked for")
        return self.film


def prediction_response(
    bundle: Bundle, model: ModelName, prediction: Prediction, tags: RadiographTags
) -> PredictionResponse:
    """The answer of a bundle, served as `model`, about a radiograph with these tags.

    Raises:
        NoChestError: the radiograph does not look like one of a chest.
    """
    manifest, training = bundle.manifest, bundle.manifest.training
    chest_radiograph, in_distribution = prediction.gates
    if chest_radiograph < CHEST_RADIOGRAPH_FROM:
        raise NoChestError(value=chest_radiograph, needed=CHEST_RADIOGRAPH_FROM)
    verdict = age_verdict(manifest.age_group, tags.age_years)
    return PredictionResponse(
        id=str(uuid4()),
        model=model,
        findings=[] if verdict == "refuses" else _findings(bundle, prediction),
        decision=_decision(manifest, prediction, verdict),
        gates=Gates(
            chest_radiograph=chest_radiograph, in_distribution=in_distribution, age_group=age_group_of(tags.age_years)
        ),
        provenance=Provenance(
            commit=training.commit,
            data=training.data,
            engine=bundle.engine_name,
            preprocessing=manifest.preprocessing.digest(),
            sources=list(training.sources),
        ),
        notice=f"{NOTICE} {DRAWN_NOTICE}" if training.drawn else NOTICE,
    )


def _findings(bundle: Bundle, prediction: Prediction) -> list[FindingAnswer]:
    manifest = bundle.manifest
    columns = (
        manifest.findings,
        prediction.scores,
        prediction.probabilities,
        manifest.operating_points,
        bundle.operating_probabilities,
        manifest.conformal.absent_below,
        prediction.present,
        prediction.uncertain,
    )
    return [
        FindingAnswer(
            finding=name,
            score=float(score),
            probability=float(probability),
            operating_point=point,
            operating_probability=at_point,
            absent_below=None if at_point is None else min(below, point),
            present=bool(present),
            uncertain=bool(uncertain),
            confounded=name in manifest.confounded,
        )
        for name, score, probability, point, at_point, below, present, uncertain in zip(*columns, strict=True)
    ]


def _decision(manifest: Manifest, prediction: Prediction, verdict: AgeVerdict) -> Decision:
    against = [*_against_the_input(manifest, prediction, verdict)]
    if verdict == "refuses":
        return Decision(abstain=True, reasons=against)
    against += _undecided(manifest, prediction)
    return Decision(abstain=bool(against), reasons=[*against, *_to_mind(manifest, verdict)])


def _against_the_input(manifest: Manifest, prediction: Prediction, verdict: AgeVerdict) -> Iterator[str]:
    """Why the model should not have been asked about this radiograph."""
    value = prediction.gates.in_distribution
    if manifest.training.drawn:
        yield DRAWN_NOTICE
    if verdict == "refuses":
        yield f"The model answers about {_PATIENTS[manifest.age_group]} only, and this patient's age is another."
    if value < IN_DISTRIBUTION_FROM:
        yield (
            f"The radiograph is unlike those the model was trained on: in_distribution is {value:.3f}, needed is "
            f"{IN_DISTRIBUTION_FROM}."
        )


def _undecided(manifest: Manifest, prediction: Prediction) -> Iterator[str]:
    """Which classes of a multiclass head are in doubt; one alone is, where none is likely enough."""
    risk = f"{100 * manifest.conformal.risk:g} %"
    for head, columns in columns_of_heads(manifest.heads):
        in_doubt = [name for name, so in zip(head.findings, prediction.uncertain[columns], strict=True) if so]
        if head.kind is not TaskKind.MULTICLASS or not in_doubt:
            continue
        if len(in_doubt) == 1:
            yield f"None of {_listed(head.findings)} is likely enough at a risk of {risk}."
        else:
            yield f"{_listed(in_doubt)} cannot be told apart at a risk of {risk}."


def _to_mind(manifest: Manifest, verdict: AgeVerdict) -> Iterator[str]:
    """What to mind about the findings that are given."""
    if verdict == "warns":
        yield f"The model was trained on {_PATIENTS[manifest.age_group]} only, and this patient's age is not known."
    if manifest.confounded:
        yield f"How or where an image was made tells nearly as much as the model about {_listed(manifest.confounded)}."


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
