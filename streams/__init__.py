"""Topics, event schemas, decoding, chunks and transactions, the Faust agents, clock, inventory, replay."""
