"""What an alert is about, in words: why it was raised, and why it is not yet cleared."""
