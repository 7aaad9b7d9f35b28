"""The way in for radiographs and out for findings.

settings    the environment as one frozen object
schemas     what is answered
answering   from a prediction to an answer: what is refused, where the model holds back, and why
errors      platform error -> HTTP status and problem details
problems    every kind of failure -> a problem response, counted and logged
logs        the service's log
upload      the one file of a request
lineup      what serves here, as a file
following   the service follows the registry
priority    who comes first on a busy machine
loading     bundles: where the one lies that is meant, and ready to answer
readers     files become model inputs, on threads and in processes that may crash
batcher     model inputs that wait for the engine, and leave it as batches
predictor   bytes in, answer out
explaining  from an answer to its heat maps
feedback_log  what readers say about findings
canary      which studies a canary answers about, and when it has to stop
shadow      the deployment that compares a shadow with production
shadow_log  what both said
dispatcher  which version answers
api         the front door
rpc         messages and errors over gRPC; rpc_pb2, rpc_pb2_grpc are made of rpc.proto
client      asking a service that runs, from Python
batch       scores of a whole archive, with Ray Data, as parquet
page        the web page, a program of its own
app         the only place where things are wired
shedding    what HAProxy turns away by itself while the service is full
service     Ray and Serve on this machine, from start to stop
cli         the command line; commands, a file a group of them
"""
