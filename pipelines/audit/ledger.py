"""The overlap ledger, `data/audit/overlaps.parquet`: its columns, and the words of its decisions."""

SAME, APART = "same image", "kept apart"
COLUMNS = (
    "source_a",
    "image_a",
    "source_b",
    "image_b",
    "kind",
    "hash_distance",
    "cosine",
    "correlation",
    "inverted",
    "declared",
    "decision",
)
"""`kind` is "file" (equal bytes), "picture" (found by registration) or "declared" (by a publisher alone).

Evidence: bits in which the perceptual hashes differ (0 to 64), cosine of the descriptors, correlation after
registration, whether one of the two is the other's negative, whether a publisher declares the one a copy of the other.
"""
