"""`thorax registry` on a real SQLite registry."""

import hashlib
import json
import math
import shutil
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from models.bundle_writing import write_bundle
from models.radiograph import Radiograph
from serving.shadow_log import ShadowLog
from tests.conftest import CARD, free_port, registry_in
from tests.pipelines.bundles import write_radiographs
from tests.pipelines.conftest import ROOT
from tests.serving.test_shadow_log import pair

# A small metrics.json of the evaluate stage: figures of all images, of subgroups, ones that are not defined or no
# figures, and branches of which only the probes are registered.
EVALUATION = {
    "test": {
        "overall": {
            "images": 4,
            "findings": {
                "Normal": {
                    "positives": 12,
                    "auroc": {"value": 0.75, "low": 0.5, "high": 1.0},
                    "auprc": {"value": None},
                    "ece": {"value": 0.0625, "low": 0.03125, "high": 0.5},
                }
            },
            "confusion_matrix": [[2, 1], [0, 1]],
        },
        "by_sex": {"F": {"mean_auroc": {"value": 0.25}}},
    },
    "probes": {"Normal": {"trivial": {"value": 0.625, "low": math.inf}, "confounded": True, "feature": "sharpness"}},
    "heat_maps": {"hit_rate": 0.5, "examples": ["iVBORw0KGgo="]},
    "sanity": {"correlation": 0.125, "passes": True},
}
AUDIT = {"images": 4, "groups": 3, "official_leaks": 0, "shortcut_warnings": 1}
FIGURES = {
    "test/overall/images": 4.0,
    "test/overall/findings/Normal/positives": 12.0,
    "test/overall/findings/Normal/ece/value": 0.0625,
    "test/overall/findings/Normal/ece/low": 0.03125,
    "test/overall/findings/Normal/ece/high": 0.5,
    "test/overall/findings/Normal/auroc/value": 0.75,
    "test/overall/findings/Normal/auroc/low": 0.5,
    "test/overall/findings/Normal/auroc/high": 1.0,
    "probes/Normal/trivial/value": 0.625,
}


@pytest.fixture
def project(tmp_path, bundle_folder, paediatric_folder, empty_database):
    """A folder as `dvc repro` leaves it, with a bundle that came with the project."""
    shutil.copytree(bundle_folder, tmp_path / "data/bundles/pneumonia")
    shutil.copytree(paediatric_folder, tmp_path / "data/released/paediatric")
    for metrics in ("data/evaluation/pneumonia/metrics.json", "data/released/paediatric.metrics.json"):
        write_document(tmp_path / metrics, EVALUATION)
    for audit in ("data/audit/summary.json", "data/released/audit.json"):
        write_document(tmp_path / audit, AUDIT)
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    registry_in(tmp_path / "data/registry", empty_database)
    return tmp_path


def write_document(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def add_model(project, name, exported, manifest):
    """Another model of that name, as `dvc repro` leaves it."""
    write_bundle(project / "data/bundles" / name, exported, manifest.model_copy(update={"name": name}), CARD)
    shutil.copytree(project / "data/evaluation/pneumonia", project / "data/evaluation" / name)


def test_a_bundle_is_registered_as_candidate_shown_and_promoted(thorax, project, bundle):
    registered = thorax("registry", "register", "pneumonia").out
    assert registered == f"pneumonia\t1\tcandidate\t{bundle.digest}\n"
    *gates, promoted = thorax("registry", "promote", "pneumonia").out.splitlines(keepends=True)
    assert promoted == f"pneumonia\t1\tcandidate, production\t{bundle.digest}\n"
    assert [line.split()[0] for line in gates] == ["pass"] * 8
    assert thorax("registry", "list").out == promoted
    shown = thorax("registry", "show", "pneumonia")
    assert thorax("registry", "show", "pneumonia", "1") == shown
    told = json.loads(shown.out)
    assert told.pop("registered").startswith("20")
    assert len(told.pop("signed_by")) == 16
    assert told == {
        "name": "pneumonia",
        "version": "1",
        "aliases": ["candidate", "production"],
        "digest": bundle.digest,
        "commit": "0" * 40,
        "data": "sha256:" + "0" * 64,
        "checkout": "unknown",
        "dirty": "false",
        "metrics": FIGURES,
    }


def test_several_bundles_are_registered_each_under_its_own_name(thorax, project, exported, manifest):
    add_model(project, "baseline", exported, manifest)
    registered = thorax("registry", "register", "pneumonia", "baseline")
    lines = [line.split("\t")[:3] for line in registered.out.splitlines()]
    assert lines == [["pneumonia", "1", "candidate"], ["baseline", "1", "candidate"]]


def test_a_bundle_that_came_with_the_project_is_registered_with_its_figures(thorax, project):
    registered = thorax("registry", "register", "paediatric", "--released")
    assert registered.out.startswith("paediatric\t1\tcandidate\tsha256:")
    assert json.loads(thorax("registry", "show", "paediatric", "candidate").out)["metrics"] == FIGURES


def test_a_released_bundle_without_its_figures_is_told_where_they_are(thorax, project):
    refused = thorax("registry", "register", "pneumonia", "--released")
    assert refused.code == 1
    (sentence,) = refused.err.splitlines()
    assert sentence.startswith(
        "Expected the figures of the evaluate stage in data/released/pneumonia.metrics.json, but"
    )
    assert sentence.endswith("They come with the project: git checkout data/released")


def test_where_one_of_several_lacks_its_figures_none_is_registered(thorax, project):
    refused = thorax("registry", "register", "pneumonia", "thoracic")
    assert refused.code == 1
    assert "data/evaluation/thoracic/metrics.json" in refused.err
    assert thorax("registry", "list").out == ""


def test_registering_the_same_bundle_again_makes_no_new_version(thorax, project):
    first = thorax("registry", "register", "pneumonia")
    assert first.out.startswith("pneumonia\t1\t")
    assert thorax("registry", "register", "pneumonia") == first


def test_another_alias_is_set_without_gates(thorax, project):
    thorax("registry", "register", "pneumonia")
    promoted = thorax("registry", "promote", "pneumonia", "1", "--to", "shadow").out
    assert promoted.startswith("pneumonia\t1\tcandidate, shadow\t")
    refused = thorax("registry", "promote", "pneumonia", "1", "--to", "staging")
    assert refused.code == 1
    assert refused.err.startswith("Expected one of the aliases candidate, shadow, canary, production, but received")


@pytest.mark.parametrize("alias", ["production", "canary"])
def test_what_fails_a_gate_does_not_serve_unless_overridden_with_a_reason(thorax, project, alias):
    write_document(project / "data/audit/summary.json", AUDIT | {"official_leaks": 2})
    thorax("registry", "register", "pneumonia")
    refused = thorax("registry", "promote", "pneumonia", "--to", alias)
    assert refused.code == 1
    assert refused.err.startswith("pneumonia version 1 was not promoted: audit failed. ")
    assert "FAIL  audit               4 images in 3 groups, 2 leaks, 1 shortcut warnings" in refused.out
    assert thorax("registry", "promote", "pneumonia", "--to", alias, "--override").code == 2
    words = ("--override", "--reason", "leaks are of a test set that nobody uses", "--by", "Dr. Chief")
    promoted = thorax("registry", "promote", "pneumonia", "--to", alias, *words)
    assert promoted.code == 0
    *_, last = thorax("registry", "history", "pneumonia").out.splitlines()
    share = ", a canary for 10 %" if alias == "canary" else ""
    why = "over the failed gates audit: leaks are of a test set that nobody uses"
    assert last.endswith(f"promote version 1 by Dr. Chief{share}, {why}")


def test_a_canary_begins_through_the_gates_with_a_percentage_and_is_withdrawn(thorax, project):
    thorax("registry", "register", "pneumonia", "--allow-dirty")
    over = ("--override", "--reason", "a test", "--by", "ann")
    for words, percent in (((), 10), (("--percent", "25"), 25)):
        done = thorax("registry", "promote", "pneumonia", "--to", "canary", *over, *words)
        assert done.code == 0
        assert "non-inferiority" in done.out
        assert registry_in(project / "data/registry").trial("pneumonia").percent == percent
    done = thorax("registry", "withdraw", "pneumonia", "canary", "--by", "bob", "--reason", "seen enough")
    assert done.code == 0
    assert done.out.split("\t")[:3] == ["pneumonia", "1", "candidate"]
    last = thorax("registry", "history", "pneumonia").out.splitlines()[-1]
    assert last.endswith("withdraw version 1 by bob: seen enough")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("promote", "pneumonia", "--percent", "10"), 2, "--percent is for --to canary only"),
        (("promote", "pneumonia", "--to", "canary", "--percent", "100"), 2, "Input should be less than or equal to 99"),
        (("withdraw", "pneumonia", "production"), 1, "Expected one of the aliases shadow, canary, but received"),
        (("withdraw", "pneumonia", "canary"), 1, "The registry holds no pneumonia@canary"),
    ],
)
def test_what_is_no_trial_is_refused(thorax, project, words, code, sentence):
    thorax("registry", "register", "pneumonia", "--allow-dirty")
    refused = thorax("registry", *words)
    assert refused.code == code
    assert sentence in refused.err


def test_production_goes_back_in_one_command(thorax, project, exported, manifest):
    thorax("registry", "register", "pneumonia")
    thorax("registry", "promote", "pneumonia")
    write_bundle(
        project / "data/bundles/pneumonia", exported, manifest.model_copy(update={"confounded": ("Normal",)}), CARD
    )
    thorax("registry", "register", "pneumonia")
    thorax("registry", "promote", "pneumonia", "--override", "--reason", "shortcuts are accepted")
    back = thorax("registry", "rollback", "pneumonia", "--by", "ann", "--reason", "too many false alarms")
    assert back.out.startswith("pneumonia\t1\tproduction\t")
    *_, last = thorax("registry", "history", "pneumonia").out.splitlines()
    assert last.endswith("rollback version 1 by ann: too many false alarms")


def test_what_was_in_production_on_a_day_is_told(thorax, project):
    thorax("registry", "register", "pneumonia")
    thorax("registry", "promote", "pneumonia")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert thorax("registry", "history", "pneumonia", "--at", today).out.startswith("pneumonia\t1\t")
    refused = thorax("registry", "history", "pneumonia", "--at", "2020-02-29")
    assert (refused.code, refused.out) == (1, "")
    assert "version of pneumonia in production at 2020-02-29" in refused.err
    assert thorax("registry", "history", "pneumonia", "--at", "yesterday").code == 2
    refused = thorax("registry", "history", "dermatology")
    assert refused.err.startswith("The registry holds no history of 'dermatology'; it holds: pneumonia.")


def test_code_that_is_not_committed_is_registered_only_if_that_is_wanted(thorax, project, exported, manifest):
    training = manifest.training.model_copy(update={"commit": "1" * 40 + "-dirty"})
    write_bundle(project / "data/bundles/pneumonia", exported, manifest.model_copy(update={"training": training}), CARD)
    refused = thorax("registry", "register", "pneumonia")
    assert refused.code == 1
    assert refused.err.startswith("data/bundles/pneumonia was trained with code that is not committed.")
    assert thorax("registry", "list").out == ""
    assert thorax("registry", "register", "pneumonia", "--allow-dirty").code == 0
    shown = json.loads(thorax("registry", "show", "pneumonia", "candidate").out)
    assert (shown["dirty"], shown["commit"]) == ("true", "1" * 40 + "-dirty")


def test_the_lock_of_the_run_is_recorded(thorax, project):
    (project / "dvc.lock").write_text("schema: '2.0'\n")
    thorax("registry", "register", "pneumonia")
    expected = hashlib.sha256((project / "dvc.lock").read_bytes()).hexdigest()
    assert json.loads(thorax("registry", "show", "pneumonia", "1").out)["dvc_lock"] == f"sha256:{expected}"


def test_keys_are_made_once(thorax):
    made = thorax("registry", "keygen")
    assert made.out.startswith("data/registry/keys/private.pem signs from now on; data/registry/keys/trusted/")
    refused = thorax("registry", "keygen")
    assert refused.code == 1
    assert "there is one already" in refused.err


def test_without_a_key_nothing_is_registered(thorax, project):
    shutil.rmtree(project / "data/registry/keys")
    refused = thorax("registry", "register", "pneumonia")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.endswith("Run: thorax registry keygen\n")
    assert thorax("registry", "list").out == ""


def test_verify_tells_what_is_wrong(thorax, project):
    thorax("registry", "register", "pneumonia")
    verified = thorax("registry", "verify")
    assert (verified.code, verified.err) == (0, "")
    assert verified.out == "pneumonia: history, aliases, files and signatures are as they should be\n"
    (graph,) = (project / "data/registry/artifacts").rglob("model.onnx")
    graph.write_bytes(graph.read_bytes() + b"\0")
    verified = thorax("registry", "verify", "pneumonia")
    assert (verified.code, verified.out) == (1, "")
    assert "model.onnx: expected sha256:" in verified.err


def test_a_version_travels_to_another_registry_as_a_file(thorax, project, tmp_path):
    thorax("registry", "register", "pneumonia")
    assert thorax("registry", "export", "pneumonia", "candidate", "pneumonia.tar").code == 0
    elsewhere = {"registry_folder": tmp_path / "elsewhere", "trusted_keys": project / "data/registry/keys/trusted"}
    refused = thorax("registry", "import", "pneumonia.tar", registry_folder=tmp_path / "stranger")
    assert refused.code == 1
    thorax("registry", "keygen", **elsewhere)
    taken = thorax("registry", "import", "pneumonia.tar", "--by", "bob", **elsewhere)
    assert taken.out.startswith("pneumonia\t1\tcandidate\tsha256:")
    assert thorax("registry", "history", "pneumonia", **elsewhere).out.endswith(
        "import version 1 by bob: from pneumonia.tar\n"
    )


def test_prune_deletes_only_what_is_old(thorax, project):
    thorax("registry", "register", "pneumonia")
    assert thorax("registry", "prune", "pneumonia").out == ""
    assert thorax("registry", "prune", "pneumonia", "--days", "0").code == 2
    assert thorax("registry", "list").out.startswith("pneumonia\t1\t")


def test_predict_finds_the_model_in_the_registry_by_alias_version_or_name(
    thorax, production, registry_folder, chest_dicom
):
    for model in ("pneumonia", "pneumonia@production", "pneumonia@1"):
        done = thorax("predict", chest_dicom, "--model", model, "--json", registry_folder=registry_folder)
        assert json.loads(done.out)["model"] == {
            "name": "pneumonia",
            "version": production.version,
            "digest": production.digest,
        }


def test_without_figures_nothing_is_registered(thorax, project):
    (project / "data/evaluation/pneumonia/metrics.json").unlink()
    refused = thorax("registry", "register", "pneumonia")
    assert refused.code == 1
    (sentence,) = refused.err.splitlines()
    assert sentence.startswith("Expected the figures of the evaluate stage in data/evaluation/pneumonia/metrics.json")
    assert sentence.endswith("Run: dvc repro")
    assert thorax("registry", "list").out == ""


def test_a_changed_bundle_is_not_registered(thorax, project):
    (project / "data/bundles/pneumonia/MODEL_CARD.md").write_text("Fit for diagnosis.")
    refused = thorax("registry", "register", "pneumonia")
    assert refused.code == 1
    assert "MODEL_CARD.md: expected sha256:" in refused.err
    assert thorax("registry", "list").out == ""


@pytest.fixture
def compared(thorax, project, exported, manifest, noise):
    """The project with a candidate and a production version, and with twelve test images of three classes."""
    thorax("registry", "register", "pneumonia")
    thorax("registry", "promote", "pneumonia")
    later = manifest.model_copy(
        update={"training": manifest.training.model_copy(update={"data": "sha256:" + "1" * 64})}
    )
    write_bundle(project / "data/bundles/pneumonia", exported, later, CARD)
    thorax("registry", "register", "pneumonia")
    images = [f"{number}.png" for number in range(12)]
    radiographs = {image: Radiograph(noise.integers(0, 256, (64, 64), np.uint8)) for image in images}
    write_radiographs(project / "data/shards", "synthetic", radiographs)
    rows = pd.DataFrame({"image": images, "source": "synthetic", "group": images, "split": "test"})
    for index, finding in enumerate(manifest.findings):
        rows[finding] = (rows.index % 3 == index).astype(float)
    (project / "data/splits").mkdir()
    rows.to_parquet(project / "data/splits/pneumonia.parquet", index=False)
    return project


def test_a_candidate_is_compared_with_production_finding_by_finding(thorax, compared, manifest):
    done = thorax("registry", "compare", "pneumonia")
    assert done.code == 0
    header, *lines = done.out.splitlines()
    assert " ".join(header.split()) == "finding images positives auroc_a auroc_b difference low high p_value"
    rows = [line.rsplit(maxsplit=8) for line in lines]
    assert [finding.strip() for finding, *_ in rows] == list(manifest.findings)
    for _, images, positives, of_one, of_other, difference, *_ in rows:  # the same network twice
        assert (images, positives, difference) == ("12", "4", "0.000")
        assert of_one == of_other
    assert done.err == "The two were trained on different data: either may know some of these test images.\n"


def test_any_two_versions_can_be_compared(thorax, compared):
    done = thorax("registry", "compare", "pneumonia", "1", "1")
    assert (done.code, done.err) == (0, "")
    assert thorax("registry", "compare", "pneumonia", "2", "1").out == thorax("registry", "compare", "pneumonia").out


def test_what_a_shadow_and_production_said_is_told_before_that(thorax, compared, manifest):
    registry = registry_in(compared / "data/registry")
    digests = tuple(registry.resolve("pneumonia", version).digest for version in ("1", "2"))
    log = ShadowLog(compared / "data/registry")
    for number in range(4):
        pairs = [pair(name, 0.5, 0.5 + 0.1 * (number == 0)) for name in manifest.findings]
        log.add("pneumonia", digests, pairs, 0.02 + 0.01 * number, 0.03)
    done = thorax("registry", "compare", "pneumonia", "2", "1")
    title, header, *lines = done.out.splitlines()
    assert title == "As a shadow, version 2 beside version 1:"
    assert header.split()[:5] == ["finding", "radiographs", "agreement", "low", "high"]
    assert [line.rsplit(maxsplit=8)[1:] for line in lines[:3]] == [
        ["4", "0.750", "0.301", "0.954", "0.000", "0.250", "0.025", "0.025"]
    ] * 3
    assert lines[3] == "Median seconds: production 0.035, shadow 0.030"
    assert "As a shadow" not in thorax("registry", "compare", "pneumonia", "1", "2").out


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("data/splits/pneumonia.parquet", "Expected the split of the task in data/splits/pneumonia.parquet, but "),
        ("data/shards/synthetic", "Expected decoded images in data/shards/synthetic, but found none."),
    ],
)
def test_without_its_test_images_nothing_is_compared(thorax, compared, missing, sentence):
    (compared / missing).rename(compared / "elsewhere")
    refused = thorax("registry", "compare", "pneumonia")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(sentence)
    assert refused.err.endswith("Run: dvc repro\n")


@pytest.mark.parametrize(
    "words",
    [
        ("show", "pneumonia", "staging"),
        ("compare", "pneumonia", "staging"),
        ("promote", "pneumonia", "staging"),
    ],
)
def test_an_unknown_alias_is_refused_with_those_that_are_known(thorax, production, registry_folder, words):
    refused = thorax("registry", *words, registry_folder=registry_folder)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "The registry holds no pneumonia@staging; it holds: pneumonia@1, pneumonia@candidate, pneumonia@production.\n"
    )


def test_an_unknown_model_is_refused(thorax, production, registry_folder):
    refused = thorax("registry", "show", "dermatology", registry_folder=registry_folder)
    assert refused.code == 1
    assert refused.err == "The registry holds no dermatology@production; it holds: nothing of that name.\n"


def test_what_was_registered_is_there_for_other_programs(thorax, project, bundle):
    thorax("registry", "register", "pneumonia")
    registry = registry_in(project / "data/registry")
    assert registry.resolve("pneumonia", "candidate").digest == bundle.digest


@pytest.mark.parametrize("words", [("registry", "list"), ("registry", "show", "pneumonia"), ("predict", "chest.dcm")])
def test_a_registry_that_does_not_answer_is_one_sentence(thorax, words):
    address = f"http://127.0.0.1:{free_port()}"
    refused = thorax(*words, registry_uri=address)
    assert (refused.code, refused.out) == (1, "")
    (sentence,) = refused.err.splitlines()
    assert sentence.startswith(f"The model registry {address} cannot be reached: ")
    assert sentence.endswith("Check THORAX_REGISTRY_URI and that it runs.")
