"""The stage: writes the ledger, the groups, what stands out and the report; stops the run where official lists leak."""

import json
from dataclasses import fields
from pathlib import Path

import pandas as pd

from pipelines.audit.evidence import Evidence, load_evidence
from pipelines.audit.groups import group_images, official_leaks
from pipelines.audit.labels import conflicts, prevalence, two_ids
from pipelines.audit.ledger import SAME
from pipelines.audit.oddities import oddities
from pipelines.audit.overlaps import find_overlaps
from pipelines.audit.probes import Probe, probe_findings, probe_source
from pipelines.audit.report import write_report
from pipelines.audit.suspicion import suspicious_labels
from pipelines.audit.tables import Tables
from pipelines.leakage import refuse
from pipelines.params import Audit, load_params
from pipelines.spread import EXECUTORS
from pipelines.stage import run_stage


def audit(settings: Audit, evidence: Evidence, sources: list[str]) -> Tables:
    """Looks at everything; writes and stops nothing.

    Args:
        settings: the audit section of params.yaml.
        evidence: of all sources.
        sources: in the order of params.yaml.
    """
    images = evidence.images
    ledger = find_overlaps(images, evidence.thumbnails, EXECUTORS[settings.executor])
    groups = group_images(images, ledger, sources)
    leaks = official_leaks(images, groups)
    leaked = pd.MultiIndex.from_frame(leaks[["source", "image"]])
    of_images = pd.MultiIndex.from_frame(groups[["source", "image"]])
    excluded = pd.Series(of_images.isin(leaked)).map({True: "leaks_official_test", False: None})
    of_findings = list(probe_findings(images, evidence.embeddings, groups["group"], evidence.findings))
    of_source = probe_source(images, evidence.embeddings, groups["group"])
    return Tables(
        overlaps=ledger,
        groups=groups.assign(excluded=excluded.to_numpy()),
        leaks=leaks,
        conflicts=conflicts(images, ledger),
        two_ids=two_ids(images, ledger),
        prevalence=prevalence(images),
        probes=_table([*of_findings, *([of_source] if of_source else [])]),
        suspicious=suspicious_labels(images, of_findings),
        odd=oddities(images, evidence.thumbnails),
    )


def write_tables(tables: Tables, folder: Path) -> None:
    """The ledger and the groups as parquet, the rest as CSV, all of it counted in `summary.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for field in fields(tables):
        table: pd.DataFrame = getattr(tables, field.name)
        if field.name in {"overlaps", "groups"}:
            table.to_parquet(folder / f"{field.name}.parquet", index=False)
        else:
            table.to_csv(folder / f"{field.name}.csv", index=False, float_format="%.4f")
    (folder / "summary.json").write_text(json.dumps(_summary(tables), indent=2) + "\n", encoding="utf-8")


def refuse_leaks(settings: Audit, leaks: pd.DataFrame, folder: Path) -> None:
    """Returns if official lists keep training and test apart, or if the run is to go on all the same.

    Raises:
        LeakageError: they do not; some pairs are named, all of them are listed.
    """
    if settings.official_leaks == "exclude":
        return
    pairs = [
        f"{row.source}: {row.image} ({row.split_official}) and {row.test_image} (test) share the {row.shared}"
        for row in leaks.itertuples()
    ]
    refuse(pairs, f"See {folder / 'leaks.csv'}; audit.official_leaks: exclude leaves the training side out.")


def _table(probes: list[Probe]) -> pd.DataFrame:
    columns = [field.name for field in fields(Probe) if field.name not in {"chances", "rows"}]
    return pd.DataFrame([[getattr(probe, column) for column in columns] for probe in probes], columns=columns)


def _summary(tables: Tables) -> dict[str, int]:
    ledger = tables.overlaps
    same = ledger[ledger["decision"] == SAME]
    return {
        "images": len(tables.groups),
        "groups": tables.groups["group"].nunique(),
        "largest_group": int(max(tables.groups["group"].value_counts(), default=0)),
        "overlaps": len(same),
        "overlaps_across_sources": int((same["source_a"] != same["source_b"]).sum()),
        "official_leaks": len(tables.leaks),
        "label_conflicts": len(tables.conflicts),
        "patients_with_two_ids": len(tables.two_ids),
        "shortcut_warnings": int(tables.probes["warning"].sum()),
        "suspicious_labels": len(tables.suspicious),
        "odd_images": len(tables.odd),
    }


def main(catalogs: str, shards: str, embeddings: str, folder: str) -> None:
    """`python -m pipelines.audit CATALOGS SHARDS EMBEDDINGS FOLDER`."""
    params = load_params()
    evidence = load_evidence(params.sources, Path(catalogs), Path(shards), Path(embeddings))
    tables = audit(params.audit, evidence, params.sources)
    write_tables(tables, Path(folder))
    write_report(Path(folder) / "report.html", evidence, tables)
    refuse_leaks(params.audit, tables.leaks, Path(folder))


if __name__ == "__main__":
    run_stage(main)
