"""The temporal graph network: hosts are nodes, flows are edges in time, and a host is what it did just before.

history  node events in order, and sums over a host's most recent ones
memory   sums that decay over a minute to six hours
inputs   what the network reads of every node event and of every edge
network  forward and backward
"""
