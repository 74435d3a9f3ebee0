"""Detections as they are told to others: which technique a family is, what may leave, and how it looks as STIX."""
