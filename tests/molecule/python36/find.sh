#!/bin/sh
# Print the folder of a Python 3.6 of this machine, with its headers; no package index or distribution offers one any more.
# PYTHON36 names its program; else PATH and pyenv's versions are searched.
set -eu
for program in "${PYTHON36:-}" python3.6 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.6.*/bin/python3.6; do
    folder=$("$program" -c 'import sys; print(sys.base_prefix if sys.version_info[:2] == (3, 6) else "")' 2>/dev/null) || continue
    # A system's own cannot be separated from the system around it.
    [ "$folder" != /usr ] && [ -e "$folder/include/python3.6m/Python.h" ] || continue
    echo "$folder"
    exit 0
done
echo "no Python 3.6 on this machine: pyenv install 3.6, or set PYTHON36 to one that has a folder of its own" >&2
exit 1
