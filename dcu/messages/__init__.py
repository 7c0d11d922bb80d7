"""What goes over MQTT: envelopes upward, command envelopes downward, as bytes. No topics, no connection, no store."""
