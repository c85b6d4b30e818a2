#!/bin/sh
# Does what kubectl does with a credential plugin: tells it the version, gives it no stdin, leaves it the stderr, and takes
# an ExecCredential of the same version on stdout. Prints the header that kubectl would send.
set -eu
version=client.authentication.k8s.io/v1
export KUBERNETES_EXEC_INFO="{\"kind\":\"ExecCredential\",\"apiVersion\":\"$version\",\"spec\":{\"interactive\":false}}"
json=$("$@" </dev/null | tr -d '\n')

member() {
    printf '%s' "$json" | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

[ "$(member kind)" = ExecCredential ] || { echo "the output is no ExecCredential" >&2; exit 1; }
[ "$(member apiVersion)" = "$version" ] || { echo "the version is another one" >&2; exit 1; }
token=$(member token)
[ -n "$token" ] || { echo "no token in the output" >&2; exit 1; }
echo "Authorization: Bearer $token"
