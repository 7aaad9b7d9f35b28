"""What is wrong with the data: one look at all sources together, which can stop the run.

evidence    catalogs, thumbnails, trivial features and embeddings, side by side
likeness    how alike two thumbnails are
ledger      columns and words of the overlap ledger
overlaps    which images are one and the same: the ledger
groups      what may never stand on both sides of a split
labels      prevalence, and copies that are labelled differently
probes      what trivial features know of findings and of sources
suspicion   labels that the images speak against
oddities    images that are no frontal chest, blank, inverted or text
tables      all that is found
sheets      thumbnails as pictures of a page
report      all of it on one page
"""
