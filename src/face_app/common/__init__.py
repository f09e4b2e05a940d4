"""Provide the modules that edge and cloud share: contracts, metadata, MQTT, settings, errors."""
