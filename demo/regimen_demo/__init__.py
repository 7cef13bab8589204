"""The main job, shown: from business CSVs to a promoted GGUF on a real cluster, and a bad candidate rolled back.

Drives only what a user would: the chart, manifests, the bucket, the service's URL and the feedback endpoint.
"""
