"""Where a point lies: sets of commune boundaries and the lookup of a point in them.

Pure: no Kafka, no clock.
"""
