# shellcheck shell=bash
# helm: charts as artifacts; a version range is resolved through the list of tags.

install_helm() { need_go_program helm helm.sh/helm/v3/cmd/helm@v3.22.0; }

cases_helm() {
  run_case "helm: push and pull a chart" helm_round_trip 0.1.0
  run_case "helm: a version with build data" helm_round_trip 0.2.0+build.5
  run_case "helm: show the newest of a range" helm_range
}

helm_chart() { # VERSION: packages a chart; prints the archive's path
  local chart=$WORK/helm-$1/demo
  mkdir -p "$chart/templates"
  printf 'apiVersion: v2\nname: demo\nversion: %s\ndescription: made by a test\n' "$1" >"$chart/Chart.yaml"
  printf 'kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: demo\n' >"$chart/templates/map.yaml"
  helm package --destination "$WORK/helm-$1" "$chart" >/dev/null
  echo "$WORK/helm-$1/demo-$1.tgz"
}

helm_round_trip() { # VERSION
  local archive out=$WORK/helm-out-$1
  archive=$(helm_chart "$1")
  mkdir -p "$out"
  helm push --plain-http "$archive" "oci://$REGISTRY/charts"
  helm pull --plain-http --version "$1" --destination "$out" "oci://$REGISTRY/charts/demo"
  cmp "$archive" "$out/demo-$1.tgz"
  check_remote charts/demo "${1//+/_}" "$(curl -fsSI "http://$REGISTRY/v2/charts/demo/manifests/${1//+/_}" \
    -H 'Accept: application/vnd.oci.image.manifest.v1+json' |
    tr -d '\r' | sed -n 's/^docker-content-digest: //Ip')"
}

helm_range() {
  helm show chart --plain-http --version '>=0.1.0' "oci://$REGISTRY/charts/demo" | grep -qx 'version: 0.2.0+build.5'
}
