"""`python -m face_app`."""

from face_app.cli import main

main()
