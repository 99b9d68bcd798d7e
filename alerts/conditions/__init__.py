"""What makes a condition begin, change and end: of one source, and of many."""
