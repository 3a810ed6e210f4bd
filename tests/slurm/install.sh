#!/usr/bin/env bash
# Installs Debian's Slurm for the tests, without starting the services that come with it.
# Without root or apt it says so and leaves it to the tests to say what is missing.
set -euo pipefail
PACKAGES=(munge slurmctld slurmd slurm-client util-linux)
PROGRAMS=(munged slurmctld slurmd sbatch setpriv)
POLICY=/usr/sbin/policy-rc.d

# Of several names `command -v` is content with one.
is_complete() {
    local program
    for program in "${PROGRAMS[@]}"; do
        command -v "$program" > /dev/null || return 1
    done
}

if is_complete; then
    exit 0
elif [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "Slurm is not installed: that takes root and apt-get (${PACKAGES[*]})."
    exit 0
fi
if [ ! -e $POLICY ]; then
    trap 'rm -f $POLICY' EXIT
    printf '#!/bin/sh\nexit 101\n' > $POLICY
    chmod 755 $POLICY
fi
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${PACKAGES[@]}" > /dev/null
