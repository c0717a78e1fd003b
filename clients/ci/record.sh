#!/bin/sh
# Records the outcome of this CI job at a git remote, and verifies the trail there.
#
# Needs: git, and chiffon-audit on the path or in $AUDIT_PROGRAM. Runs in a clone, however shallow.
#
#   AUDIT_TASK      the task's id; any text [default: made of the repository, the run, the attempt and the job]
#   AUDIT_STATE     the job's state in the words of the CI system [default for GitLab: CI_JOB_STATUS]
#   AUDIT_REMOTE    the git remote that has the trail [default: origin]
#   AUDIT_OUTCOME   a file with a JSON value, which becomes execution_result.outcome.details
#   AUDIT_SPOOL     a directory that outlives the job: outcomes wait there while the remote cannot be reached
#   AUDIT_VERIFY    `false` skips the verification; `strict` also fails if something cannot be shown, as in a shallow clone
#   AUDIT_TOKEN     a token that may push, sent to the server of the remote only
set -eu

program=${AUDIT_PROGRAM:-chiffon-audit}
remote=${AUDIT_REMOTE:-origin}

# A text as a JSON string. Control characters become spaces.
json() {
    printf '"%s"' "$(printf '%s' "$1" | tr '\000-\037\177' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

fail() {
    echo "record.sh: $1" >&2
    exit 2
}

if [ -n "${GITHUB_ACTIONS:-}" ]; then
    task=${AUDIT_TASK:-$GITHUB_REPOSITORY/$GITHUB_RUN_ID/$GITHUB_RUN_ATTEMPT/$GITHUB_JOB}
    plan=$GITHUB_WORKFLOW
    server=$GITHUB_SERVER_URL
    user=x-access-token
    url=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID
    commit=$GITHUB_SHA
    directory=${GITHUB_WORKSPACE:-.}
elif [ -n "${GITLAB_CI:-}" ]; then
    task=${AUDIT_TASK:-$CI_PROJECT_PATH/$CI_PIPELINE_ID/$CI_JOB_NAME/$CI_JOB_ID}
    plan=$CI_PIPELINE_ID
    server=$CI_SERVER_URL
    user=${AUDIT_TOKEN_USER:-gitlab-ci-token}
    url=$CI_JOB_URL
    commit=$CI_COMMIT_SHA
    directory=${CI_PROJECT_DIR:-.}
    AUDIT_STATE=${AUDIT_STATE:-${CI_JOB_STATUS:-}}
else
    task=${AUDIT_TASK:?is not set, and this is neither GitHub Actions nor GitLab CI}
    plan=${AUDIT_PLAN:-$task}
    server=${AUDIT_SERVER:-}
    user=${AUDIT_TOKEN_USER:-x-access-token}
    url=
    commit=
    directory=.
fi

state=${AUDIT_STATE:-}
case $state in
    success | neutral) status=completed ;;
    failure | failed | timed_out | startup_failure) status=failed ;;
    cancelled | canceled | skipped | stale) status=cancelled ;;
    action_required) status=rejected ;;
    '') fail 'AUDIT_STATE is not set' ;;
    *) fail "the state $state is not terminal, or not known" ;;
esac

details=null
if [ -n "${AUDIT_OUTCOME:-}" ]; then
    details=$(cat "$AUDIT_OUTCOME") || fail "cannot read $AUDIT_OUTCOME"
fi

if [ -n "${AUDIT_TOKEN:-}" ] && [ -n "$server" ]; then
    # Git reads this from the environment, so the token is in no file and in no argument.
    count=${GIT_CONFIG_COUNT:-0}
    secret=$(printf '%s:%s' "$user" "$AUDIT_TOKEN" | base64 | tr -d '\n')
    export "GIT_CONFIG_KEY_$count=http.$server/.extraheader"
    export "GIT_CONFIG_VALUE_$count=Authorization: Basic $secret"
    export GIT_CONFIG_COUNT=$((count + 1))
fi

set -- -C "$directory" commit --encode-ids --push "$remote" --json
if [ -n "${AUDIT_SPOOL:-}" ]; then
    set -- "$@" --spool "$AUDIT_SPOOL"
fi

# Records the outcome with these details, and prints the receipt.
record() {
    printf '{"task_id": %s, "plan_id": %s, "status": "%s", "execution_result": {"outcome": {"native_state": %s, "url": %s, "commit": %s, "details": %s}}}' \
        "$(json "$task")" "$(json "$plan")" "$status" "$(json "$state")" "$(json "$url")" "$(json "$commit")" "$details" |
        "$program" "$@" -
}

code=0
receipt=$(record "$@") || code=$?
# Only a document that is refused is tried without its details.
case $details:$receipt in
    null:*) ;;
    *'"result":"refused"'*)
        echo "record.sh: $AUDIT_OUTCOME cannot be recorded, so the outcome is recorded without it" >&2
        details=null
        code=0
        receipt=$(record "$@") || code=$?
        ;;
esac
printf '%s\n' "$receipt"
[ "$code" = 0 ] || exit "$code"

case $receipt in
    *'"result":"spooled"'*) exit 0 ;;
esac
if [ "${AUDIT_VERIFY:-true}" != false ]; then
    "$program" -C "$directory" verify --against "remote:$remote" || code=$?
    if [ "$code" = 6 ] && [ "${AUDIT_VERIFY:-true}" != strict ]; then
        echo 'record.sh: not everything can be shown in this clone, which may be shallow; AUDIT_VERIFY=strict fails here' >&2
        code=0
    fi
    exit "$code"
fi
