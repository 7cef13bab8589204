"""Judges the quantised file that will be served, with the engine that will serve it, on rows that were held out (law 9).

    cases ─ answers (asked once, kept in the bucket without texts) ─ metrics ─ compare ─ report
                 └ quantization: what the file changed from its 16-bit weights

`run` reads top to bottom.
"""
