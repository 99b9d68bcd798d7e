"""Who may do what at Kafka: one file of the parties, as users and access-control lists of the cluster."""
