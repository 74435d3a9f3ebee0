"""Masked rounds on the coordinator's side: the messages of their steps, and the sums that they come to."""
