"""Tables, migrations, connections and the telemetry store."""
