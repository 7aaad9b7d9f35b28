"""The way in for radiographs and out for findings.

settings    the environment as one frozen object
schemas     what is answered
errors      platform error -> HTTP status
predictor   the deployment that holds a bundle
api         the HTTP front door
app         the only place where things are wired
cli         the command line
"""
