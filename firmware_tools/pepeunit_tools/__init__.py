"""Tools for operators and fleets: the gateway over REST from the command line."""
