"""Rules: what an author may write, and the records that are judged by."""
