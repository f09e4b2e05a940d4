"""Both ends: contracts, metadata, MQTT, settings, errors."""
