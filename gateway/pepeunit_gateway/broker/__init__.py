"""The broker: one port, the managed mosquitto with its front door, and the gateway's own session."""
