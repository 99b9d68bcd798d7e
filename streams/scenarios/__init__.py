"""Scenarios that ship: recordings, each with the program that made it and the truth that it planned."""
