"""Change stream between the parts of the gateway."""
