# Sourced by the scripts of the seeds' recipes, whose first arguments are PROGRAMS WORK: what is in WORK, data sets and runs
# that the tests share (CTest fixtures), lies in the scratch directory, too, where recipes look for it.
source "$(dirname "${BASH_SOURCE[0]}")/../integration/common.sh"
work=$2
if [ -d "$work" ]; then ln -s "$work"/* .; fi
