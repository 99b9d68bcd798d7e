"""The day on which the communes were drawn anew."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

#: The present communes hold from this instant on, the former ones until it: decision 19/2025/QĐ-TTg, in force on
#: 1 July 2025, Vietnam's time.
REFORM = datetime(2025, 7, 1, tzinfo=timezone(timedelta(hours=7)))
