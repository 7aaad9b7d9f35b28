"""The model card: what a person should know before using a bundle (Mitchell et al. 2019, Model Cards)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.bundle import Manifest

NOTICE = "Research use. Not for diagnosis."
DRAWN_NOTICE = "This model was trained on drawings: its scores on a real radiograph mean nothing."

_LIMITS = {
    "pneumonia": (
        "* Labels of the Kermany set come from children of 1 to 5 years at one site; nothing is known about adults.\n"
        "* A radiograph cannot reliably tell bacterial from viral pneumonia; the labels carry that noise.\n"
    ),
    "thoracic": "* Several sources label by text mining, with errors; a finding a source does not label is unknown.\n",
}


def model_card(manifest: "Manifest") -> str:
    """The card as Markdown, from the manifest alone; the figures stand beside the bundle, in its evaluation."""
    training = manifest.training
    rows = "\n".join(
        f"| {finding} | {point:.3f} |"
        for finding, point in zip(manifest.findings, manifest.operating_points, strict=True)
    )
    parameters = "\n".join(f"* `{name}`: {value}" for name, value in sorted(training.parameters.items()))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(training.versions.items()))
    return f"""# Model card: {manifest.task}

**{NOTICE}**{" **" + DRAWN_NOTICE + "**" if training.drawn else ""}

## What it answers

A frontal chest radiograph, stretched to {manifest.preprocessing.width_px} x {manifest.preprocessing.height_px} px.
The score of a finding is called present from its operating point upwards, chosen on the validation patients.

| finding | operating point |
|---|---|
{rows}

## Training

Backbone `{training.backbone}`; {training.images} images of: {", ".join(training.sources)}.
Code {training.commit}; data {training.data}.

{parameters}

Libraries: {versions}.

## Limits

{_LIMITS[manifest.task]}* It answers whatever it is given: nothing yet refuses a picture that is no frontal chest.
"""
