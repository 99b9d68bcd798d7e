"""What an agency is told: subscriptions, addressing, CAP and its feed."""
