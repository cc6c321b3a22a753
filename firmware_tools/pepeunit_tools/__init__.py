"""Operator and fleet tools for boards: the REST command line now; flashing, provisioning and monitoring come with their issue."""
