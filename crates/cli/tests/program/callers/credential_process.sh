#!/bin/sh
# Does what an SDK of AWS does with `credential_process` of a profile: runs the line in a shell, and takes JSON on stdout
# with these members for credentials. Prints them as variables.
set -eu
line=$(sed -n 's/^credential_process *= *//p' "$AWS_CONFIG_FILE")
json=$(sh -c "$line" </dev/null | tr -d '\n')

member() {
    value=$(printf '%s' "$json" | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",} ]*\).*/\1/p")
    [ -n "$value" ] || { echo "no $1 in the output" >&2; exit 1; }
    printf '%s' "$value"
}

[ "$(member Version)" = 1 ] || { echo "the version is not 1" >&2; exit 1; }
for name in AccessKeyId SecretAccessKey SessionToken Expiration; do
    value=$(member "$name")
    echo "$name=$value"
done
