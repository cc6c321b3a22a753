"""Firmware: git mirrors, version resolution, env.json, schema.json and archives. Plain data in, plain data out."""
