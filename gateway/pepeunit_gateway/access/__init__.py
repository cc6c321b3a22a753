"""Pure decisions: agents, tokens, passwords, ciphers, visibility and MQTT grants. No I/O in here."""
