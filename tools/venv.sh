#!/usr/bin/env bash
# Makes the Python environment .venv with the packages of tests/requirements.txt, and of the files that are named beside it;
# does nothing when it is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/requirements.txt
if ! cmp -s tests/requirements.txt "$stamp" || ! .venv/bin/python -c 'import numpy, redis' 2>/dev/null; then
    echo "venv: installing the packages of tests/requirements.txt into .venv"
    python3 -m venv --clear .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
    cp tests/requirements.txt "$stamp"
fi
for more in "$@"; do
    stamp=.venv/${more//\//-}
    if ! cmp -s "$more" "$stamp"; then
        echo "venv: installing the packages of $more into .venv"
        .venv/bin/pip install --quiet --disable-pip-version-check --requirement "$more"
        cp "$more" "$stamp"
    fi
done
