"""`face-app detect`, and what `face-app capture --dry-run` says at its end."""
