"""What keeps many alerts readable: incidents, suppression, limits, the rate at which they come."""
