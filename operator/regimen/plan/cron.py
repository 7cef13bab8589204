"""When a cron schedule is due. Pure: now is an argument."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter


def ticks(schedule: str, time_zone: str, now: float) -> tuple[float, float]:
    """The last due time at or before now, and the next one after it, in seconds since the epoch.

    Raises ValueError naming the field that is wrong.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"timeZone: {time_zone} is no IANA time zone; write one like America/Chicago") from error
    try:
        if len(schedule.split()) != 5:
            raise CroniterError("five fields")
        # get_prev looks strictly before its start: a due time is due in the second that it names.
        this_second, next_second = (datetime.fromtimestamp(int(now) + more, zone) for more in (0, 1))
        return croniter(schedule, next_second).get_prev(float), croniter(schedule, this_second).get_next(float)
    except CroniterError as error:
        raise ValueError(f"schedule: {schedule!r} is no cron expression of five fields, e.g. 0 2 1 * *") from error
