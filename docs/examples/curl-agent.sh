#!/bin/sh
# An agent for flower in one page of POSIX shell: curl talks to flower, git keeps the work, sed and grep read the answers.
#
# Register it once, and choose it when you dispatch a brief:
#
#     .venv/bin/python manage.py agent_add curl -- /bin/sh "$PWD/docs/examples/curl-agent.sh"
#
# flower starts it in a worktree of its own, on a branch of its own; the FLOWER_ variables say the rest (docs/agents.md).
# To make it yours, put your own program into work().

set -eu

# The work itself: change files, here and below. Whatever stands in the worktree at its end is committed.
# This one writes down what was asked for, and how many files it found.
work() {
    mkdir -p notes
    {
        printf '# %s\n\n' "$title"
        printf 'The repository has %s files.\n' "$(git ls-files | grep -c '')"
    } >"notes/brief-$FLOWER_BRIEF.md"
}

# call TOOL ARGUMENTS: call one of flower's tools (docs/tools.md) with a JSON object; its answer, as JSON, is in $answer.
#
# Trouble that passes is waited for, up to five minutes: nobody may answer while flower is started again, and when its
# database is busy or its disk full, the answer says so by a code. All calls made here may be repeated.
call() {
    patience=300 pause=1
    while ! ask_once "$1" "$2" || printf '%s' "$answer" | grep -q '"flower/retry_after"'; do
        [ "$patience" -gt 0 ] || break
        sleep "$pause"
        patience=$((patience - pause)) pause=$((pause < 20 ? pause * 2 : 30))
    done
    # A result has structuredContent. A refusal has a sentence in its place, which says what to do.
    if ! printf '%s' "$answer" | grep -q '"structuredContent": *{'; then
        printf '%s was refused: %s\n' "$1" "$answer" >&2
        return 1
    fi
}

# ask_once TOOL ARGUMENTS: one request. It fails where flower does not answer, or answers 503 (busy) or another 5xx.
#
# The token goes through a pipe, since everybody on a machine can read the command lines of others.
ask_once() {
    answer=$(
        printf 'Authorization: Bearer %s\n' "$FLOWER_TOKEN" |
            curl --silent --show-error --max-time 60 --write-out '\n%{http_code}' \
                --header @- --header 'Content-Type: application/json' \
                --data "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\",
                         \"params\": {\"name\": \"$1\", \"arguments\": $2}}" \
                "$FLOWER_MCP_URL"
    ) || return 1
    case ${answer##*"$newline"} in 5*) return 1 ;; esac
    answer=${answer%"$newline"*}
}
newline='
'

# json TEXT: print a text as a JSON string, on one line.
json() {
    printf '"%s"' "$(printf '%s' "$1" | tr '\n\t' '  ' | tr -d '\000-\037' | sed 's/[\\"]/\\&/g')"
}

# field NAME: print a field of $answer that holds a line of text.
field() {
    printf '%s' "$answer" | grep -o "\"$1\": *\"[^\"\\\\]*\(\\\\.[^\"\\\\]*\)*\"" |
        sed -e "s/^\"$1\": *\"\(.*\)\"\$/\1/" -e 's/\\\(["\\]\)/\1/g' -e '1q'
}

# Who gives up says so, with the reason: it stands on the brief's trace, and the brief can be dispatched again.
# (Merely to end is noticed too, but tells nobody why.)
give_up() {
    code=$?
    trap - EXIT
    [ "$code" -eq 0 ] || call brief_dispatch_fail "{\"why\": $(json "curl-agent.sh ended with $code while $doing.")}"
    exit "$code"
}
trap give_up EXIT

doing='recalling the brief'
call recall_brief '{"include": ["spec"]}'
title=$(field title)
echo "brief #$FLOWER_BRIEF: $title"

doing='working'
call brief_dispatch_progress "{\"note\": $(json "Begun: $title"), \"fence\": $FLOWER_FENCE}"
work

doing='committing'
# flower's hook adds the trailer "Brief: #N". Ignored files, such as .flower/packet.md, stay out of it.
git add --all
if git diff --cached --quiet; then
    no_changes=true summary='There was nothing to change.'
else
    no_changes=false summary="Wrote notes/brief-$FLOWER_BRIEF.md."
    git -c user.name="$FLOWER_ACTOR" -c user.email="$FLOWER_ACTOR@localhost" commit --quiet --message "$title"
    call brief_dispatch_progress "{\"note\": $(json "Committed $(git rev-parse --short HEAD)."), \"fence\": $FLOWER_FENCE}"
fi

doing='completing'
# Only this call says that the work is finished; flower checks it against git.
call brief_dispatch_complete \
    "{\"summary\": $(json "$summary"), \"no_changes\": $no_changes, \"fence\": $FLOWER_FENCE}"
echo "dispatch $FLOWER_DISPATCH is $(field status)"
