"""What keeps the way to a user's cluster open."""

import time
from pathlib import Path

from regimen_demo.target import Forward


def test_a_forward_that_ends_is_started_again_until_it_is_closed(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    forward = Forward(["sh", "-c", 'echo started >> "$0"', str(starts)], {"PATH": "/usr/bin:/bin"})
    for _ in range(100):
        if starts.exists() and len(starts.read_text().splitlines()) > 2:
            break
        time.sleep(0.1)
    forward.close()
    begun = starts.read_text()
    assert len(begun.splitlines()) > 2
    time.sleep(0.5)
    assert starts.read_text() == begun
