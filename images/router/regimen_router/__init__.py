"""The router: HAProxy in front of a service's replicas, and the agent that steers it through its runtime API.

settings    environment of all containers
haproxy     HAProxy's configuration as a pure function; writing it and becoming HAProxy
body        which bodies may pass
large       a second HAProxy that checks large bodies
route       the one map entry that says which subject goes to which arm
runtime     HAProxy's runtime socket: read what is, send what shall be
plan        pure: what is wanted and what is -> runtime commands, and what to report
cluster     ConfigMap and EndpointSlices
traffic     log lines -> increments for the feedback service, metrics
agent       the loop and its HTTP face
"""
