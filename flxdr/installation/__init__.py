"""`make verify`: seven groups of checks, each doing the real thing on this machine, in a folder that is thrown away."""
