"""The peer of prepare_claims.py: claims to two tasks' JSON lines, as one writes it with pandas in an afternoon.

python benchmarks/pandas_prepare.py historical_claims.csv FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

TEST_FRACTION = 0.1
TIERS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
SYSTEMS = {
    "medical_analysis": "Write the medical analysis of the insurance claim.",
    "final_decision": "Adjudicate the insurance claim. Answer APPROVED or DENIED.",
}


def main(source: Path, folder: Path) -> None:
    """Read, validate, split by policy, map, write."""
    folder.mkdir(parents=True, exist_ok=True)
    stage("reading")
    rows = valid(pd.read_csv(source, dtype=str, keep_default_na=False))
    stage("splitting")
    # A copy as plain objects: shuffling pandas' own string array in place takes twenty minutes for a million rows.
    policies = np.random.default_rng(42).permutation(rows["policy_id"].unique().to_numpy(dtype=object))
    test = rows["policy_id"].isin(policies[: int(len(policies) * TEST_FRACTION)])
    stage("writing")
    for column, system in SYSTEMS.items():
        decided = rows["final_decision"].isin(["APPROVED", "DENIED"]) | (column != "final_decision")
        for side, chosen in (("train", ~test), ("test", test)):
            records = rows[decided & chosen].apply(lambda row, column=column, system=system: record(row, column, system), axis=1)
            with (folder / f"{column}_{side}.jsonl").open("w") as file:
                for item in records:
                    file.write(json.dumps(item, ensure_ascii=False) + "\n")


def valid(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose cells are what they should be, once each."""
    amount = pd.to_numeric(rows["claim_amount"], errors="coerce")
    day = pd.to_datetime(rows["service_date"], format="%Y-%m-%d", errors="coerce")
    decision = rows["final_decision"].str.upper()
    good = (amount >= 0) & day.notna() & decision.isin(["APPROVED", "DENIED", "PENDING"])
    for column in ("claim_id", "policy_id", "diagnosis_codes", "procedure_codes", "medical_analysis"):
        good &= rows[column].str.strip() != ""
    rows = rows.assign(claim_amount=amount, year=day.dt.year, final_decision=decision)[good]
    return rows.drop_duplicates().drop_duplicates("claim_id")


def record(row: pd.Series, column: str, system: str) -> dict[str, object]:
    """A row in TRL's conversational form."""
    tier = sum(row["claim_amount"] >= bound for bound in TIERS)
    facts = f"Diagnosis {row['diagnosis_codes']}, procedure {row['procedure_codes']}, year {row['year']:.0f}, amount ${int(row['claim_amount'])}"
    ending = f"\nReview: {row['medical_analysis']}\nCost tier {tier}" if column == "final_decision" else f", cost tier {tier}"
    return {
        "id": row["claim_id"],
        "prompt": [{"role": "system", "content": system}, {"role": "user", "content": facts + ending}],
        "completion": [{"role": "assistant", "content": row[column]}],
    }


def stage(name: str) -> None:
    """Tell the benchmark what begins."""
    print(name, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
