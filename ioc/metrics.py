"""Every metric of the program, in one table. One prefix, base units, no label with unbounded values."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from ioc.delays import Delays

#: Seconds; from one chunk's work to a minute of backlog.
DELAY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)

READY = Gauge("ioc_ready", "1 where the process does its work, 0 where it starts, waits or stalls.")
BEAT = Gauge(
    "ioc_beat_seconds", "When the process last said that it moves on, Unix seconds; 0 while it starts."
)

# sense
EVENTS = Counter("ioc_events", "Events read from the raw streams, bad ones included.", ["stream"])
LOCATED = Counter(
    "ioc_events_located",
    "Located events written, by outcome: inside, outside, swapped and the others of geo.outcomes, or no-map.",
    ["stream", "outcome"],
)
DEAD = Counter("ioc_dead_letters", "Records that could not be used, by reason.", ["stream", "reason"])
UNJUDGED = Counter(
    "ioc_events_unjudged",
    "Events kept but not judged, by reason: late, out-of-order, duplicate, quota or no-clock.",
    ["stream", "reason"],
)
DOUBTED = Counter(
    "ioc_readings_doubted",
    "Readings that are not believed, by kind: range, spike, stuck or datum.",
    ["stream", "kind"],
)
SUMS_LEFT_OUT = Counter(
    "ioc_sums_left_out", "Values that came after the sums of their minute were told.", ["stream"]
)
MISPLACED = Gauge(
    "ioc_sources_misplaced",
    "Fixed sources whose events come in another partition than Kafka's default partitioner gives: where they are "
    "missed they are taken for silent.",
    ["topic", "partition"],
)
SIGNALS = Counter("ioc_signals", "Signals written, by change.", ["stream", "change"])
LOCATED_DELAY = Delays(
    "ioc_located_delay_seconds",
    "From the broker's append of a raw event to its located event being committed.",
    "stream",
    DELAY_BUCKETS,
)

UNSEALED_REPORTS = Counter(
    "ioc_unsealed_reports",
    "Reports on the raw topic that name their reporter in plain words; those of a simulation are left out.",
)

# correlate
ALERT_CHANGES = Counter(
    "ioc_alert_changes", "Alert changes written, by change and severity.", ["change", "severity"]
)
UNREADABLE_SIGNALS = Counter("ioc_signals_unreadable", "Records of ioc.signals that could not be read.")
OPEN_ALERTS = Gauge("ioc_open_alerts", "Open alerts, by province and severity.", ["province", "severity"])
SUPPRESSED_ALERTS = Gauge(
    "ioc_suppressed_alerts",
    "Open alerts that are not shown among the others, by why: maintenance, inhibited or limit.",
    ["province", "reason"],
)
SHELVED_ALERTS = Gauge("ioc_shelved_alerts", "Open alerts that an operator has put aside.", ["province"])
OPEN_INCIDENTS = Gauge("ioc_open_incidents", "Incidents with an open alert.", ["province"])
COMMANDS = Counter("ioc_commands", "Operators' commands, by action and outcome.", ["action", "outcome"])
AGENCY_MESSAGES = Counter("ioc_agency_messages", "Messages to agencies, heartbeats included.", ["agency"])
ALARMS_TEN_MINUTES = Gauge(
    "ioc_alarms_ten_minutes",
    "Alarms given to operators in the last ten minutes of event time; above 10 for one operator is a flood.",
    ["province"],
)
ALARMS_HOUR = Gauge(
    "ioc_alarms_hour",
    "Alarms given to operators in the last hour of event time; up to 12 for one operator can be managed.",
    ["province"],
)
ALERT_DELAY = Histogram(
    "ioc_alert_delay_seconds",
    "From the broker's append of the raw record that caused it to the alert change being committed.",
    buckets=DELAY_BUCKETS,
)

# sense and correlate
CHUNKS = Histogram(
    "ioc_chunk_seconds", "Time from taking a chunk to its commit.", ["topic"], buckets=DELAY_BUCKETS
)
OLDEST_CHUNK = Gauge(
    "ioc_oldest_chunk_seconds",
    "How long the oldest uncommitted chunk has been at work, restoring its state included; 0 where none is.",
)
LAG = Gauge(
    "ioc_consumer_lag_records", "Records of a partition that are not yet committed.", ["topic", "partition"]
)
CLOCK_SECONDS = Gauge(
    "ioc_clock_seconds", "Time of the last clock record of a partition, Unix seconds.", ["topic", "partition"]
)
CLOCK_SEEN = Gauge(
    "ioc_clock_seen_seconds",
    "When the last clock record of a partition was read, or the partition last waited for slower ones, Unix seconds.",
    ["topic", "partition"],
)
TRIMMED = Counter(
    "ioc_log_trimmed",
    "Times that retention had deleted records before they were read: data was lost.",
    ["topic"],
)
RESTORE_SECONDS = Histogram(
    "ioc_state_restore_seconds", "Time to restore a partition's state.", ["topic"], buckets=DELAY_BUCKETS
)

# clock and replay
CLOCK_RECORDS = Counter("ioc_clock_records", "Clock records written, over all raw partitions.")
CLOCK_HELD = Counter(
    "ioc_clock_held", "Times that the clock wrote nothing because the machine's time had gone back."
)
CONFIGURATION_ERROR = Gauge(
    "ioc_configuration_error",
    "1 where the configuration's files have an error and the former configuration stays in force.",
)
REPLAYED = Counter("ioc_replayed_events", "Events published by a replay.", ["stream"])

# wall
VIEWERS = Gauge("ioc_wall_viewers", "Browsers that follow the wall.")
WALL_UPDATES = Counter("ioc_wall_updates", "Changes pushed to browsers, counted once for all of them.")
WALL_DELAY = Histogram(
    "ioc_wall_delay_seconds",
    "From the broker's append of a located event or alert to the wall sending it on.",
    buckets=DELAY_BUCKETS,
)


def set_alarms(province: str, ten_minutes: int, hour: int) -> None:
    """Say how many alarms the operators of a province were given lately."""
    ALARMS_TEN_MINUTES.labels(province).set(ten_minutes)
    ALARMS_HOUR.labels(province).set(hour)


def forget_partition(topic: str, partition: int) -> None:
    """Drop what is said of a partition that this process no longer holds: another one says it now."""
    for gauge in (LAG, CLOCK_SECONDS, CLOCK_SEEN, MISPLACED):
        gauge.remove(topic, str(partition))


def forget_province(province: str) -> None:
    """The same of a province: a flood that another worker has seen the end of would go on here for ever."""
    for gauge in (
        OPEN_ALERTS,
        SUPPRESSED_ALERTS,
        SHELVED_ALERTS,
        OPEN_INCIDENTS,
        ALARMS_TEN_MINUTES,
        ALARMS_HOUR,
    ):
        gauge.remove_by_labels({"province": province})
