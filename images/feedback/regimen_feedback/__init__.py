"""The feedback service: what experts and users said of answers, and what routers counted.

identity    request ids: whose they are, and whether a router signed them
documents   what callers may send, checked field by field
tables      what is kept: ids, labels, numbers
ledger      writing it, each document in one transaction
evidence    reading it: one query per figure of a rollout
export      reading it: one line per record, for the next training
join        the export's lines beside the rows of the business, where those are
commands    `regimen join_feedback`
app         HTTP
"""
