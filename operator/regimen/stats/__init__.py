"""What the figures allow one to say: sequential tests, intervals, power and the verdict. Pure: no I/O, no clock.

Knows counts and the spec's Analysis; knows nothing of Kubernetes, and not how the counts came here.
"""
