"""Health, published status, Home Assistant."""
