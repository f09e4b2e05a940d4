"""Send messages about new faces and alarms to the services that Apprise knows."""
