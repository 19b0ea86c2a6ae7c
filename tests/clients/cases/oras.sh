# shellcheck shell=bash
# oras, the Python package: files as artifacts, in one PUT or in chunks. The cases are in oras_cases.py.

install_oras() { need_python_package oras==0.2.43; }

cases_oras() {
  local case
  for case in "push and pull" "blobs in chunks" "artifact with a subject" "list tags" "delete"; do
    run_case "oras: $case" "$PYTHON" "$HERE/cases/oras_cases.py" "$REGISTRY" "$WORK/oras" "$case"
  done
}
