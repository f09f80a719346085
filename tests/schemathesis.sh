#!/usr/bin/env bash
# The longer lane of S8: schemathesis makes up calls from the schema, as nobody, as a bidder and as a reviewer, and no answer may
# be a fault or tell what is inside.
#
#   tests/schemathesis.sh [EXAMPLES [SEED]]     per operation and caller; 20 if absent
#
# It takes the binary of the last `cargo build --workspace`, a port and a folder of its own, and Python for schemathesis itself,
# which goes into that folder. Everything ends with it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

examples=${1:-20}
seed=${2:-$RANDOM}
jishi=${CARGO_TARGET_DIR:-target}/debug/jishi
[ -x "$jishi" ] || { echo "no $jishi: cargo build --workspace" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/jishi-schemathesis.XXXXXX")
served=
finish() {
    if [ -n "$served" ]; then
        kill "$served" 2>/dev/null || true
        wait "$served" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'schemathesis==4.*'

unset "${!JISHI_@}"
export JISHI_DATA_DIR=$work/data JISHI_HTTP_LISTEN=127.0.0.1:0 JISHI_LOG=warn
export JISHI_RATE_ADDRESS=0 JISHI_RATE_PERSON=0 JISHI_RATE_ORGANIZATION=0
"$jishi" serve >"$work/out" 2>"$work/log" &
served=$!
for _ in {1..600}; do
    http=$(sed -n 's/^ready http=\([^ ]*\).*/\1/p' "$work/out")
    [ -z "$http" ] || break
    kill -0 "$served" || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done

# Demo accounts have a second factor that everybody can work out from their logins.
cat >"$work/sign_in.py" <<'PYTHON'
import hashlib, hmac, json, struct, sys, time, urllib.request

http, login, hours = sys.argv[1:]
secret = hashlib.sha256(f"jishi demo second factor {login}".encode()).digest()[:20]
mac = hmac.new(secret, struct.pack(">Q", (int(time.time()) + 3600 * int(hours)) // 30), "sha1").digest()
at = mac[-1] & 15
code = f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}"
query = "mutation($i: SignInInput!) { signIn(input: $i) { session { accessToken } userErrors { code } } }"
variables = {"i": {"login": login, "password": "jishi-demo-2026", "code": code}}
for given in (variables, {"i": {**variables["i"], "code": None}}):
    body = json.dumps({"query": query, "variables": given}).encode()
    request = urllib.request.Request(http + "/graphql", body, {"Content-Type": "application/json"})
    answer = json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request))
    session = answer["data"]["signIn"]["session"]
    if session:
        print(session["accessToken"])
        sys.exit()
sys.exit(f"{login} cannot sign in: {answer}")
PYTHON

# Schemathesis' own check takes a refusal (`errors` without `data`) for a fault, so this is stricter and fairer: no 5xx, no fault
# in an answer of 200, no word that only our code and its libraries use.
cat >"$work/inside.py" <<'PYTHON'
import schemathesis
from hypothesis import strategies as some
from schemathesis.graphql import nodes

# Right ones, and whatever comes.
money = some.decimals("-1e16", "1e16", places=2, allow_nan=False).map(str) | some.floats().map(repr) | some.text()
times = some.datetimes().map(lambda time: time.isoformat() + "Z") | some.text()
schemathesis.graphql.scalar("Money", money.map(nodes.String))
schemathesis.graphql.scalar("DateTime", times.map(nodes.String))

INSIDE = ["panicked", "sea_orm", "sqlx", "tonic", "prost", "async_graphql", "DbErr", "UNIQUE constraint", "CHECK constraint",
          "no such column", "syntax error at", ".rs:", "Option<", "Vec<", "RUST_BACKTRACE"]
FAULTS = {"INTERNAL", "UNAVAILABLE"}

@schemathesis.check
def good_order(ctx, response, case):
    assert response.status_code < 500, f"{response.status_code} {response.text[:2000]}"
    found = [word for word in INSIDE if word in response.text]
    assert not found, f"{found} in {response.text[:2000]}"
    codes = {error.get("extensions", {}).get("code", "none") for error in response.json().get("errors", [])}
    faults = codes & (FAULTS | {"none"})
    assert not faults, f"{faults} in {response.text[:2000]}"
PYTHON

status=0
hours=0
for caller in nobody bidder1 reviewer; do
    # An hour later the sign-ins that the caller before made up are forgotten.
    hours=$((hours + 1))
    curl -fsS --noproxy '*' -H 'Content-Type: application/json' -d "{\"offsetMillis\":$((hours * 3600000))}" "$http/dev/clock" >/dev/null
    echo "=== schemathesis as $caller, $examples examples an operation, seed $seed, at $http"
    headers=()
    if [ "$caller" != nobody ]; then
        token=$("$work/venv/bin/python" "$work/sign_in.py" "$http" "$caller" "$hours")
        headers=(--header "Authorization: Bearer $token")
    fi
    (cd "$work" && NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 SCHEMATHESIS_HOOKS=inside venv/bin/schemathesis run "$http/graphql" \
        "${headers[@]}" --checks good_order --max-examples "$examples" --seed "$seed" \
        --exclude-name Mutation.signOut --phases fuzzing --warnings off --generation-database none --continue-on-failure --workers 2 --request-timeout 5) || status=1
done
kill -0 "$served" || { echo 'the exchange has ended' >&2; status=1; }
if grep -E 'panicked|internal fault' "$work/log"; then status=1; fi
exit "$status"
