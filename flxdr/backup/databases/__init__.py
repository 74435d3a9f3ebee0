"""The two databases: each is dumped at one moment while it is written to, and put back whole or not at all."""
