"""From a publisher's files to an evaluated bundle: one module a DVC stage.

draw        phantoms of the synthetic source
catalog     a row an image
prepare     each image decoded once, into shards
split       by patient: train, validation, calibration, test
train       shards and splits -> bundle
evaluate    the bundle's figures, with intervals
reference   what drift is compared with
params      params.yaml as frozen objects that refuse unknown keys
sources     one file a data source
phantom     how a chest radiograph is drawn
"""
