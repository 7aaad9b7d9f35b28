"""What a radiograph, a finding, a network and a release are; offline and online meet only here.

errors          every error of the platform, the tree drawn on top
findings        the label vocabulary: findings, their codes, tasks
radiograph      the picture type
reading         bytes -> Radiograph, through dicom or raster
preprocessing   Radiograph -> model input, frozen into the bundle
backbones       a table of feature extractors
heads, losses   what stands on a backbone, and what it learns from
calibration     raw scores -> probabilities
scoring         AUROC and its family, with intervals
engine          runs an exported graph
bundle          the folder that leaves training and enters serving; the only predict
bundle_writing  writes that folder, whole and checked, or not at all
card            what a person should know of a bundle
registry        name, version and alias -> a verified bundle
"""
