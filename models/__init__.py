"""What a radiograph, a finding, a network and a release are; offline and online meet only here.

errors          every error of the platform, the tree drawn on top
findings        the label vocabulary: findings, their codes, tasks
radiograph      the picture type
reading         bytes -> Radiograph, through dicom or raster
preprocessing   Radiograph -> model input, frozen into the bundle
resizing        any size -> the size that weights want
backbones       a table of feature extractors, and what they begin with
heads           what stands on a backbone, of the layers in head_layer
losses          what a network learns from
calibration     raw scores -> probabilities
conformal       below which score a finding may be called absent
gates           what is asked of every input before a finding is reported
scoring         AUROC and its family, with intervals
comparison      whether one model ranks better than another
explain         a heat map laid over its radiograph
png             colour pictures -> PNG files, fast
engine          runs an exported graph
half_precision  weights of 8 significant bits, and files that hold no more
bundle          the folder that leaves training and enters serving; the only predict
bundle_writing  writes that folder, whole and checked, or not at all
card            what a person should know of a bundle
signing         who vouches for a bundle: keys, signatures, whom to trust
registry        name, version and alias -> a verified bundle; what served when
"""
