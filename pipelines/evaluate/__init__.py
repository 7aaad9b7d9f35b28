"""The figures of a bundle on images it was not trained on; the graph that is measured is the graph that serves.

samples     bootstrap samples of patients, and the interval that they give a figure
figures     AUROC and its family, overall and by group
probes      what the same AUROC is without looking at disease
decisions   how often the gates are open, and what conformal answers miss
curves      ROC, confusion and reliability, for `dvc plots`
summary     a line a finding, for the terminal
charts      figures as places on a drawing
report      all of it on one page
"""
