"""The port that agents dial."""
