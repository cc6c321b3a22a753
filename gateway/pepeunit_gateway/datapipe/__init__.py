"""From MQTT messages to stored telemetry: pipe configurations, pure stages, policies, batches."""
