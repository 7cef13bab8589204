"""regimen-feedback: serves on port 8090."""

import logging
import os
import sys

import uvicorn

from regimen import logs
from regimen_feedback.app import TRAFFIC_DAYS, create_app
from regimen_feedback.tables import connect

DEFAULT_DB = "sqlite:////data/feedback.db"


def main() -> int:
    """Exit 2: the environment is at fault."""
    logs.configure("uvicorn.access")
    try:
        master = bytes.fromhex(os.environ["REGIMEN_SIGNING_KEY"])
    except (KeyError, ValueError):
        print("regimen-feedback: REGIMEN_SIGNING_KEY is not set, or is not hex", file=sys.stderr)
        return 2
    if len(master) < 16:
        print("regimen-feedback: REGIMEN_SIGNING_KEY has less than 32 hex digits", file=sys.stderr)
        return 2
    days = os.environ.get("REGIMEN_FEEDBACK_TRAFFIC_DAYS") or str(TRAFFIC_DAYS)
    if not days.isdigit() or int(days) < 1:
        print(f"regimen-feedback: REGIMEN_FEEDBACK_TRAFFIC_DAYS is not a number of days: {days!r}", file=sys.stderr)
        return 2
    engine = connect(os.environ.get("REGIMEN_FEEDBACK_DB") or DEFAULT_DB)
    logging.getLogger("regimen.feedback").info("database ready", extra={"fields": {"dialect": engine.dialect.name}})
    uvicorn.run(create_app(engine, master, int(days)), host="0.0.0.0", port=8090, log_config=None, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
