"""When an observation becomes an alert: rules, signals, lifecycle. Pure: no Kafka, no clock, no files."""
