"""Scores of a whole archive, with Ray Data, as parquet.

inputs  what stands at INPUT: a folder, an archive, a prefix of S3
model   the bundle, and its way to the workers
quiet   without the lines that Ray prints past Python
rows    what is written about a file
scorer  the actor that reads and scores
output  the folder of part files, and how a run goes on where another stopped
run     the straight way from files to rows
"""
