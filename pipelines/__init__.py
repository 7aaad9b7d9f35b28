"""From a publisher's files to an evaluated bundle: one module a DVC stage.

check       params.yaml is understood and the raw files are there
draw        phantoms of the synthetic source
prepare     each image decoded once, into shards
catalog     a row an image, and a list of what is left out
embed       ImageNet's features of each image
audit       what is wrong with the data; images that are one; stops the run where official lists leak
split       by group: train, validation, calibration, test, external
train       shards and splits -> bundle
evaluate    the bundle's figures, with intervals; a report
release     the bundle with its figures, terms and card
reference   what drift is compared with

Where raw files come from (`thorax data fetch`):

fetching    an origin's files into data/raw, whole or not at all
origins     folders, archives and remotes as lists of files
archives    looked through before anything of them is taken over

What they share:

params      params.yaml as frozen objects that refuse unknown keys
sources     one file a data source
raw         files and archives of a source, read alike
pseudonyms  keyed hashes of patients and studies
phantom     how a chest radiograph is drawn
facts       what an image says of itself
shards      decoded images, packed
spread      the same work in processes, or on a Ray cluster
leakage     the last look at a split
labels      what each head learns from which image, and how much it counts
dataset     shards -> batches; augmentation varies them
fitting     the training loop
optimizing  what of a network learns, from which loss, at which rate
checkpoints what a run leaves to go on from
workers     the same loop in several processes of a Ray cluster
gates       the gates' training
decoys      what is no frontal chest radiograph
prediction  what a bundle says about the images of a split
lesions     where findings are known to be
heat_maps   heat maps scored against lesions
sanity      heat maps of a network whose weights are shuffled
terms       what a model inherits from the cards of its sources
promotion   what a version must pass before it may be in production
comparing   two bundles on the same images
publish     what is released to everybody
lineage     commit, data and versions behind a bundle
stage       how a stage's main ends, and its progress bar
"""
