"""DECIDED: what each kind does next, as pure functions of spec, facts and time. No I/O, no clock, no kopf."""
