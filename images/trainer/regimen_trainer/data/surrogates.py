"""Random surrogates for identifiers, the same for the same value in every revision.

Surrogates are drawn at random and not derived from the value, so that they can't be computed back. The table keeps keyed hashes of values
and no values. Key and hashes together still link people to surrogates: the table is as restricted as the export itself.
"""

import os

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from regimen_trainer.data.table import Workbench
from regimen_trainer.errors import InputError

LETTERS = "abcdef"
SPACE = len(LETTERS) << 28
"""How many surrogates there are: a letter, so that none looks like a number, and seven hex digits."""


def draw(bench: Workbench) -> int:
    """Give every row of the table `wanted` (kind, hash) that `surrogates` lacks a surrogate there; returns how many were new."""
    bench.run("CREATE OR REPLACE TABLE lacking AS SELECT DISTINCT kind, hash FROM wanted ANTI JOIN surrogates USING (kind, hash)")
    count = int(bench.one("SELECT count(*) FROM lacking"))
    if count:
        taken = bench.arrays("SELECT CAST('0x' || right(surrogate, 7) AS BIGINT) + ((ascii(surrogate) - 97) << 28) AS code FROM surrogates")
        codes = unused(count, np.asarray(taken["code"], dtype=np.int64))
        with bench.lent("drawn", pa.table({"code": codes})):
            bench.run(
                "CREATE OR REPLACE TABLE new_surrogates AS SELECT kind, hash, "
                f"substr('{LETTERS}', (code >> 28)::INT + 1, 1) || printf('%07x', code & 268435455) AS surrogate FROM lacking POSITIONAL JOIN drawn"
            )
        bench.run("INSERT INTO surrogates SELECT * FROM new_surrogates")
    return count


def unused(count: int, taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """`count` random codes below SPACE that are neither taken nor twice among them."""
    if count + taken.size > SPACE // 2:
        raise InputError("the dataset's memory has no surrogates left; begin a new dataset")
    codes = np.zeros(0, dtype=np.int64)
    while codes.size < count:
        # The numbers of one source of randomness: the system's, as for keys.
        drawn = np.frombuffer(os.urandom(8 * (count - codes.size + 16)), dtype=np.uint64) % np.uint64(SPACE)
        codes = np.unique(np.concatenate((codes, np.setdiff1d(drawn.astype(np.int64), taken))))
    # Sorted codes in the order of the rows would tell the rows' order.
    shuffled = codes[np.argsort(np.frombuffer(os.urandom(8 * codes.size), dtype=np.uint64))]
    return shuffled[:count]
