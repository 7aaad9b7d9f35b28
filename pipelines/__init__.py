"""From a publisher's files to an evaluated bundle: one module a DVC stage.

check       params.yaml is understood and the raw files are there
draw        phantoms of the synthetic source
catalog     a row an image
prepare     each image decoded once, into shards
embed       ImageNet features of each image
split       by patient: train, validation, calibration, test
train       shards and splits -> bundle
evaluate    the bundle's figures, with intervals
reference   what drift is compared with

What they share:

params      params.yaml as frozen objects that refuse unknown keys
sources     one file a data source
phantom     how a chest radiograph is drawn
shards      decoded images, packed
dataset     shards -> batches; augmentation varies them
fitting     the training loop, and how it goes on after a kill
prediction  what a bundle says about the images of a split
lineage     commit, data and versions behind a bundle
stage       how a stage's main ends, and its progress bar
"""
