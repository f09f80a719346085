//! What attackers send (checks S1 and S8): told once, for the tests of `it/hostile` and for the benchmark `hostile`.

mod line;

use std::ops::Range;

use serde_json::{Value, json};

pub use line::{Flood, Slow, crowd, strike};

use Answer::{Clean, Invalid, Refused, TooComplex, TooLarge};

/// One hostile body for `/graphql`.
pub struct Attack {
    /// What it tries.
    pub what: &'static str,
    /// The body of the request.
    pub body: Vec<u8>,
    /// How it must be met.
    pub answer: Answer,
}

/// How an attack must be met. Nothing else is an answer: no fault, no silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The guard does not execute it.
    TooComplex,
    /// It is no valid request or document.
    Invalid,
    /// One of these two: which of several walls it meets first is nobody's concern.
    Refused,
    /// Its body is not read to the end.
    TooLarge,
    /// One of these, or it is answered or refused by a service, since it asks for little.
    Clean,
}

impl Answer {
    /// Whether the exchange's answer, by its status and its first error's code, is this one.
    #[must_use]
    pub fn is(self, status: u16, answer: &Value) -> bool {
        let code = answer.pointer("/errors/0/extensions/code").and_then(Value::as_str);
        let refused = matches!(status, 200 | 400) && matches!(code, Some("INVALID_INPUT" | "QUERY_TOO_COMPLEX"));
        match self {
            TooComplex => (status, code) == (200, Some("QUERY_TOO_COMPLEX")),
            Invalid => refused && code == Some("INVALID_INPUT"),
            Refused => refused,
            TooLarge => (status, code) == (413, Some("INVALID_INPUT")),
            Clean => refused || (status == 200 && !matches!(code, Some("INTERNAL" | "UNAVAILABLE"))),
        }
    }
}

/// The whole corpus.
#[must_use]
pub fn attacks() -> Vec<Attack> {
    let mut attacks: Vec<Attack> = shapes().into_iter().chain(fragments()).chain(literals()).map(document).collect();
    attacks.extend(introspection().into_iter().map(document));
    attacks.extend(variables());
    attacks.extend(bodies());
    attacks
}

type Told = (&'static str, Answer, String);

fn document((what, answer, query): Told) -> Attack {
    Attack { what, answer, body: json!({ "query": query }).to_string().into_bytes() }
}

/// `item` for each number.
fn each(numbers: Range<usize>, item: impl Fn(usize) -> String) -> String {
    numbers.map(item).collect()
}

/// `open` so many times, `inner`, and `close` as often.
fn nested(levels: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

/// Too deep, too wide, too often.
fn shapes() -> Vec<Told> {
    let links = |levels| nested(levels, "award{listing{", "id", "}}");
    let page = |inner: &str| format!("listings(first:100){{edges{{node{{{inner}}}}}}}");
    let operations = |count| each(0..count, |n| format!("query a{n}{{serverTime}}"));
    vec![
        ("ten thousand levels", TooComplex, format!("{{{}}}", page(&links(5_000)))),
        ("thirteen levels", TooComplex, format!("{{{}}}", page(&links(5)))),
        (
            "ten lists of a hundred in one another",
            TooComplex,
            format!("{{{}}}", nested(10, "listings(first:100){edges{node{", "id", "}}}")),
        ),
        (
            "a list of a hundred with links",
            TooComplex,
            format!("{{{}}}", page("organization{name}award{listing{id}}deal{award{id}}")),
        ),
        ("a hundred by variable", TooComplex, format!("query($n:Int=100){{{}}}", page(&links(3)).replace("100", "$n"))),
        ("two thousand million", TooComplex, format!("{{{}}}", page("id").replace("100", "2147483647"))),
        ("fewer than none", Invalid, format!("{{{}}}", page("id").replace("100", "-2147483648"))),
        ("ten lists of a hundred", TooComplex, format!("{{{}}}", each(0..10, |n| format!("a{n}:{}", page("id"))))),
        ("a hundred thousand aliases", TooLarge, format!("{{{}}}", each(0..100_000, |n| format!("a{n}:serverTime ")))),
        ("ten thousand aliases", TooComplex, format!("{{{}}}", each(0..10_000, |n| format!("a{n}:serverTime ")))),
        ("the same field again", TooComplex, format!("{{{}}}", "serverTime ".repeat(20_000))),
        (
            "the same selection again",
            TooComplex,
            format!("{{listings(first:1){{{}}}}}", "edges{node{id}}".repeat(10_000)),
        ),
        (
            "the same selection, as often as is let through",
            Clean,
            format!("{{listings(first:1){{{}}}}}", "edges{node{id}}".repeat(600)),
        ),
        ("eleven root fields", TooComplex, format!("{{{}}}", "serverTime viewer{id} ".repeat(6))),
        ("unknown fields", Invalid, format!("{{listings{{{}}}}}", each(0..1_900, |n| format!("x{n} ")))),
        ("ten thousand operations", Refused, operations(10_000)),
        ("ten thousand directives", TooComplex, format!("{{serverTime {}}}", "@include(if:true)".repeat(10_000))),
        ("ten thousand unknown directives", Refused, format!("{{serverTime {}}}", "@x".repeat(10_000))),
        ("directives of the operation", TooComplex, format!("query {}{{serverTime}}", "@x(a:1)".repeat(10_000))),
        ("directives of a variable", TooComplex, format!("query($a:Int {}){{serverTime}}", "@x(a:1)".repeat(10_000))),
        ("arguments", TooComplex, format!("{{node({}){{id}}}}", each(0..15_000, |n| format!("a{n}:1,")))),
        ("the same argument again", TooComplex, format!("{{node({}){{id}}}}", "id:\"x\",".repeat(25_000))),
        (
            "variables that nobody uses",
            TooComplex,
            format!("query({}){{serverTime}}", each(0..15_000, |n| format!("$a{n}:Int "))),
        ),
        ("the same variable again", Refused, format!("query({}){{serverTime}}", "$a:Int ".repeat(25_000))),
        ("brackets", TooComplex, "{".repeat(200_000)),
        ("brackets that close", TooComplex, format!("{{{}}}", nested(50_000, "a{", "b", "}"))),
    ]
}

/// Fragments are followed without counting by most libraries, the unused ones too.
fn fragments() -> Vec<Told> {
    let doubling = each(0..32, |n| format!("fragment f{n} on Query{{...f{0} ...f{0}}}", n + 1))
        + "fragment f32 on Query{serverTime}";
    let chain =
        each(0..6_000, |n| format!("fragment f{n} on Query{{...f{}}}", n + 1)) + "fragment f6000 on Query{serverTime}";
    let short = each(0..1_200, |n| format!("fragment f{n} on Query{{...f{}}}", (n + 1) % 1_200));
    let circle = "fragment a on Query{...b}fragment b on Query{...c}fragment c on Query{...a}";
    let long = each(0..6_000, |n| format!("fragment f{n} on Query{{...f{}}}", (n + 1) % 6_000));
    let wide = each(0..250, |n| format!("fragment f{n} on Query{{{}}}", each(n + 1..251, |m| format!("...f{m} "))));
    let inline = |levels| format!("{{{}}}", nested(levels, "...on Query{", "serverTime", "}"));
    vec![
        ("fragments that double", TooComplex, format!("{{...f0}}{doubling}")),
        ("fragments that double, unused", Refused, format!("{{serverTime}}{doubling}")),
        ("a chain of fragments", TooComplex, format!("{{...f0}}{chain}")),
        ("a chain of fragments, unused", Refused, format!("{{serverTime}}{chain}")),
        ("a shorter circle of fragments, unused", Refused, format!("{{serverTime}}{short}")),
        ("a circle of fragments", Refused, format!("{{...a}}{circle}")),
        ("a circle of fragments, unused", Refused, format!("{{serverTime}}{circle}")),
        ("a wide circle of fragments, unused", Refused, format!("{{serverTime}}{long}")),
        (
            "each fragment in all before it, unused",
            Refused,
            format!("{{serverTime}}{wide}fragment f250 on Query{{serverTime}}"),
        ),
        ("a fragment of itself", Refused, "{...a}fragment a on Query{...a}".into()),
        ("fragments within fragments", TooComplex, inline(45)),
        ("a thousand fragments within fragments", TooComplex, inline(1_000)),
        ("fragments that are not there", Refused, format!("{{{}}}", each(0..10_000, |n| format!("...x{n} ")))),
        (
            "a fragment spread again and again",
            TooComplex,
            format!("{{{}}}fragment a on Query{{serverTime}}", "...a ".repeat(20_000)),
        ),
    ]
}

/// Values in the document that are long, deep or no values.
fn literals() -> Vec<Told> {
    let node = |value: &str| format!("{{node(id:{value}){{id}}}}");
    let search = |value: &str| format!("{{listings(search:{value}){{edges{{node{{id}}}}}}}}");
    let first = |value: &str| format!("{{listings(first:{value}){{edges{{node{{id}}}}}}}}");
    vec![
        ("a long string", Clean, search(&format!("\"{}\"", "x".repeat(200_000)))),
        ("a long block string", Clean, search(&format!("\"\"\"{}\"\"\"", "x\\n ".repeat(40_000)))),
        ("a string of escapes", Clean, search(&format!("\"{}\"", "\\u0041".repeat(30_000)))),
        ("a string without an end", Invalid, search(&format!("\"{}", "x".repeat(200_000)))),
        ("quotes", Refused, search(&"\"".repeat(100_001))),
        ("half a surrogate pair", Clean, search("\"\\ud800\"")),
        ("a long number", Refused, first(&"9".repeat(200_000))),
        ("a number with a long fraction", Refused, first(&format!("0.{}", "1".repeat(200_000)))),
        ("a number beyond all", Refused, first("1e999999999")),
        ("a long name", Refused, format!("{{{}}}", "x".repeat(200_000))),
        ("a long list", TooComplex, node(&format!("[{}]", "1,".repeat(100_000)))),
        ("a wide object", TooComplex, node(&format!("{{{}}}", each(0..20_000, |n| format!("a{n}:1,"))))),
        ("an object of one key", Refused, node(&format!("{{{}}}", "a:1,".repeat(50_000)))),
        ("deep lists", Refused, node(&nested(95, "[", "1", "]"))),
        ("deeper lists", TooComplex, node(&nested(10_000, "[", "1", "]"))),
        ("lists without an end", Refused, node(&"[".repeat(95))),
        ("deep objects", Refused, node(&nested(95, "{a:", "1", "}"))),
        ("objects without an end", Refused, node(&"{a:".repeat(95))),
        ("a deep default", Refused, format!("query($a:ID={}){{node(id:$a){{id}}}}", nested(95, "{a:[", "1", "]}"))),
        ("a deep type", Refused, format!("query($a:{}){{serverTime}}", nested(95, "[", "Int", "]!"))),
        ("a deeper type", TooComplex, format!("query($a:{}){{serverTime}}", nested(20_000, "[", "Int", "]"))),
        (
            "a deep input object",
            Refused,
            format!("mutation{{createListing(input:{}){{__typename}}}}", nested(40, "{organizationId:{a:", "1", "}}")),
        ),
        ("commas", Clean, format!("{{serverTime{}}}", ",".repeat(250_000))),
        ("comments", Clean, format!("{{serverTime\n{}}}", "#x\n".repeat(50_000))),
        ("characters of no use", Refused, format!("{{serverTime}}{}", "\u{feff}\u{0}\u{202e}".repeat(20_000))),
    ]
}

/// What nobody may ask in production, and what multiplies by itself where one may.
fn introspection() -> Vec<Told> {
    let fields = |levels| nested(levels, "fields{type{", "name", "}}");
    let of_type = |levels| nested(levels, "ofType{", "name", "}");
    vec![
        ("introspection", Clean, "{__schema{queryType{name}types{kind name fields(includeDeprecated:true){name args{name type{name}}}inputFields{name}enumValues{name}}}}".into()),
        ("one type", Clean, "{__type(name:\"SignUpInput\"){name inputFields{name}}}".into()),
        ("introspection beside a field", Clean, "{serverTime __schema{types{name}}}".into()),
        ("introspection that multiplies", TooComplex, format!("{{__schema{{types{{{}}}}}}}", fields(6))),
        ("introspection that multiplies more", Refused, format!("{{__schema{{types{{{}}}}}}}", fields(40))),
        ("deep introspection", Refused, format!("{{__schema{{types{{fields{{type{{{}}}}}}}}}}}", of_type(45))),
        ("introspection ten times", TooComplex, format!("{{{}}}", each(0..10, |n| format!("a{n}:__schema{{types{{fields{{name}}}}}}")))),
        ("introspection of a mutation", Clean, "mutation{__typename __schema{types{name}}}".into()),
    ]
}

/// What is beside the document.
fn variables() -> Vec<Attack> {
    let beside = |what, answer, query: &str, key: &str, value: String| {
        let body = format!("{{\"query\":{},\"{key}\":{value}}}", json!(query)).into_bytes();
        Attack { what, body, answer }
    };
    let time = "{serverTime}";
    let list = |items: usize| format!("{{\"x\":[{}1]}}", "1,".repeat(items));
    let ids = "query A($x:ID!){node(id:$x){id}}";
    let investor = "mutation A($x:RegisterInvestorInput!){registerInvestor(input:$x){__typename}}";
    vec![
        beside("three million elements", TooLarge, ids, "variables", list(3_000_000)),
        beside("a hundred thousand elements", Invalid, ids, "variables", list(100_000)),
        beside("elements that nobody asked for", Clean, time, "variables", list(100_000)),
        beside(
            "variables a hundred thousand deep",
            Invalid,
            ids,
            "variables",
            format!("{{\"x\":{}}}", nested(100_000, "[", "1", "]")),
        ),
        beside("objects forty thousand deep", Invalid, ids, "variables", nested(40_000, "{\"x\":", "1", "}")),
        beside(
            "variables as deep as is let through",
            Invalid,
            ids,
            "variables",
            format!("{{\"x\":{}}}", nested(110, "[", "1", "]")),
        ),
        beside(
            "many variables",
            Clean,
            time,
            "variables",
            format!("{{{}\"x\":1}}", each(0..20_000, |n| format!("\"a{n}\":1,"))),
        ),
        beside(
            "the same variable again",
            Clean,
            time,
            "variables",
            format!("{{{}\"x\":1}}", "\"a\":1,".repeat(40_000)),
        ),
        beside("a long string as a variable", Clean, ids, "variables", json!({ "x": "x".repeat(200_000) }).to_string()),
        beside("a long number as a variable", Refused, ids, "variables", format!("{{\"x\":{}}}", "9".repeat(200_000))),
        beside(
            "an input object's long list",
            Refused,
            investor,
            "variables",
            format!("{{\"x\":{{\"regions\":[{}\"1\"]}}}}", "\"510100\",".repeat(20_000)),
        ),
        beside("deep extensions", Invalid, time, "extensions", nested(40_000, "{\"a\":", "1", "}")),
        beside(
            "a long hash",
            Refused,
            time,
            "extensions",
            json!({ "persistedQuery": { "version": 1, "sha256Hash": "f".repeat(200_000) } }).to_string(),
        ),
        beside("a long operation name", Clean, time, "operationName", json!("x".repeat(200_000)).to_string()),
    ]
}

/// What is no request at all.
fn bodies() -> Vec<Attack> {
    let raw = |what, answer, body: Vec<u8>| Attack { what, answer, body };
    let one = "{\"query\":\"{serverTime}\"}";
    vec![
        raw("a batch", Invalid, format!("[{one}]").into()),
        raw("a batch of thousands", Invalid, format!("[{}{one}]", format!("{one},").repeat(9_000)).into()),
        raw("an array for an object", Invalid, b"[\"{serverTime}\",null,{},{}]".into()),
        raw("arrays a hundred thousand deep", Invalid, "[".repeat(200_000).into()),
        raw("a string without an end", Invalid, format!("{{\"query\":\"{}", "x".repeat(200_000)).into()),
        raw("white space", Invalid, " ".repeat(250_000).into()),
        raw("nothing", Invalid, Vec::new()),
        raw("bytes that are no text", Invalid, b"{\"query\":\"\xff\xfe\xc0\x80\"}".repeat(5_000)),
        raw("UTF-16", Invalid, one.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        raw("two requests at once", Invalid, format!("{one}{one}").into()),
        raw("one byte too many", TooLarge, format!("{one}{}", " ".repeat(256 * 1024)).into()),
    ]
}

/// Asks as clients do; the status and the answer.
pub async fn ask(client: &reqwest::Client, http: &str, body: Vec<u8>) -> reqwest::Result<(u16, Value)> {
    let request = client.post(format!("{http}/graphql")).header("Content-Type", "application/json").body(body);
    let response = request.send().await?;
    let (status, text) = (response.status().as_u16(), response.text().await?);
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}
