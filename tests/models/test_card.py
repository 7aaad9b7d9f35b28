"""The model card says what a person must know, and warns of a model that saw drawings only."""

import pytest

from models.card import DRAWN_NOTICE, NOTICE, model_card
from models.findings import TASKS


def changed(manifest, **training):
    return manifest.model_copy(update={"training": manifest.training.model_copy(update=training)})


def test_every_card_says_that_it_is_not_for_diagnosis(manifest):
    assert NOTICE == "Research use. Not for diagnosis."
    assert NOTICE in model_card(manifest)


@pytest.mark.parametrize("drawn", [True, False])
def test_a_model_of_drawings_says_so_and_no_other(manifest, drawn):
    assert DRAWN_NOTICE == "This model was trained on drawings: its scores on a real radiograph mean nothing."
    assert (DRAWN_NOTICE in model_card(changed(manifest, drawn=drawn))) is drawn


def test_each_finding_has_its_row(manifest):
    rows = [line for line in model_card(manifest).splitlines() if line.startswith("|")]
    assert rows == [
        "| finding | operating point |",
        "|---|---|",
        "| Normal | 0.200 |",
        "| Bacterial Pneumonia | 0.300 |",
        "| Viral Pneumonia | 0.400 |",
    ]


def test_it_tells_where_the_weights_come_from(manifest):
    card = model_card(
        changed(
            manifest,
            sources=("kermany", "shenzhen"),
            images=5216,
            parameters={"seed": 7, "epochs": 20},
            versions={"keras": "3.15.1", "tensorflow": "2.21.0"},
        )
    )
    assert "Backbone `baseline_cnn`; 5216 images of: kermany, shenzhen." in card
    assert f"Code {'0' * 40}; data sha256:{'0' * 64}." in card
    assert "* `epochs`: 20\n* `seed`: 7\n" in card
    assert "Libraries: keras 3.15.1, tensorflow 2.21.0." in card
    assert "150 x 150 px" in card


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_has_a_card_with_its_limits(manifest, task):
    points = (0.5,) * len(task.findings)
    card = model_card(
        manifest.model_copy(update={"task": task.name, "findings": task.findings, "operating_points": points})
    )
    assert card.startswith(f"# Model card: {task.name}\n")
    limits = card.partition("## Limits\n\n")[2].splitlines()
    assert len(limits) >= 2
    assert all(line.startswith("* ") for line in limits)
