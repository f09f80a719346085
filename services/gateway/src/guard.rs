//! What a document may ask for, judged before anything else walks it: the library follows fragments without
//! counting, so 32 fragments that each spread the next one twice would keep it busy for hours.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned, ServerError,
    parser::{
        self, parse_query,
        types::{
            Directive, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Selection,
            SelectionSet,
        },
    },
};

use crate::fault::{TOO_COMPLEX, invalid, refusal};

/// Brackets within brackets in the text: the parser recurses on them.
const NESTING: usize = 100;
/// Words, marks and strings in the text: parsing takes some hundred bytes for each.
const TOKENS: usize = 10_000;
/// Selection sets within selection sets, fragments followed.
const LEVELS: usize = 40;
/// Fields, spreads, arguments, variables and directives in all operations together, fragments followed: each may be
/// worth an error in the answer.
const SELECTIONS: usize = 2_000;
/// Fields within fields.
const DEPTH: usize = 12;
const ALIASES: usize = 15;
const ROOT_FIELDS: usize = 10;

/// Lists within lists of the schema's description of itself: `types { fields { args` is what tools ask for. Each more
/// would multiply by the size of the schema.
const DESCRIPTIONS: usize = 3;
const DESCRIBED: [&str; 8] =
    ["types", "directives", "fields", "inputFields", "args", "interfaces", "possibleTypes", "enumValues"];

/// Guessing a secret, bidding and describing the whole schema are once a request, whatever the aliases.
const ONCE: [&str; 10] = [
    "__schema",
    "signIn",
    "signUp",
    "changePassword",
    "enrolSecondFactor",
    "confirmSecondFactor",
    "removeSecondFactor",
    "finishFederatedSignIn",
    "placeBid",
    "submitSealedBid",
];

/// An accepted document.
pub struct Judged {
    /// As it was parsed.
    pub document: ExecutableDocument,
    /// What each of its operations does.
    outlines: Vec<(Option<Name>, Outline)>,
}

/// What an operation does.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Query, mutation or subscription.
    pub kind: OperationType,
    /// The names of its root fields.
    pub roots: Vec<String>,
}

/// Parses and judges a document.
pub fn judge(text: &str) -> Result<Judged, ServerError> {
    let (nesting, tokens) = extent(text);
    limit(nesting, NESTING, "brackets within brackets")?;
    limit(tokens, TOKENS, "words and marks")?;
    let document = parse_query(text).map_err(|error| unreadable(&error))?;
    let outlines = outlines(&document)?;
    Ok(Judged { document, outlines })
}

impl Judged {
    /// What the named operation does; a name is needed only among several.
    pub fn outline(&self, name: Option<&str>) -> Result<Outline, ServerError> {
        let chosen = match (name, &*self.outlines) {
            (Some(name), all) => all.iter().find(|(own, _)| own.as_ref().is_some_and(|own| own == name)),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        chosen.map(|(_, outline)| outline.clone()).ok_or_else(|| {
            invalid("operationName 应为文档中某个操作的名称。 operationName must name one operation of the document.")
        })
    }
}

fn outlines(document: &ExecutableDocument) -> Result<Vec<(Option<Name>, Outline)>, ServerError> {
    let mut walk = Walk { fragments: &document.fragments, known: HashMap::new() };
    let mut selections = 0;
    let mut outlines = Vec::new();
    for (operation_name, operation) in document.operations.iter() {
        let measure = walk.selection_set(&operation.node.selection_set.node, 0)?;
        let variables = operation.node.variable_definitions.iter().map(|each| 1 + weight(&each.node.directives));
        selections += measure.selections + variables.sum::<usize>() + weight(&operation.node.directives);
        limit(selections, SELECTIONS, "fields")?;
        limit(measure.aliases, ALIASES, "aliases")?;
        let roots = walk.judged_roots(&operation.node)?;
        let introspects = roots.iter().all(|root| root.starts_with("__"));
        limit(measure.depth, if introspects { usize::MAX } else { DEPTH }, "levels of fields")?;
        outlines.push((operation_name.cloned(), Outline { kind: operation.node.ty, roots }));
    }
    // What no operation spreads was not measured: a long chain of those would end the library's stack, and the process.
    match document.fragments.keys().find(|name| !walk.known.contains_key(name.as_str())) {
        Some(_) => Err(invalid("有未使用的片段。 Every fragment must be used.")),
        None => Ok(outlines),
    }
}

fn weight(directives: &[Positioned<Directive>]) -> usize {
    directives.iter().map(|directive| 1 + directive.node.arguments.len()).sum()
}

fn limit(found: usize, most: usize, what: &str) -> Result<(), ServerError> {
    if found > most { Err(too_complex(what, most)) } else { Ok(()) }
}

/// What is wrong with a document that is none, in our words: the parser's quote the document and its own grammar.
fn unreadable(error: &parser::Error) -> ServerError {
    let place = error.positions().next();
    let at = place.map(|at| format!("（第 {} 行第 {} 列）", at.line, at.column)).unwrap_or_default();
    let here = place.map(|at| format!(" at line {}, column {}", at.line, at.column)).unwrap_or_default();
    let (zh, en) = match error {
        parser::Error::Syntax { message, .. } if message.starts_with("invalid number") => {
            ("数值超出可表示的范围", "A number is out of range")
        }
        parser::Error::Syntax { .. } => ("文档有语法错误", "The document has a syntax error"),
        parser::Error::MultipleOperations { .. } => {
            ("未命名的操作须单独成文", "An operation without a name stands alone in its document")
        }
        parser::Error::OperationDuplicated { .. } => ("操作重名", "Two operations have the same name"),
        parser::Error::FragmentDuplicated { .. } => ("片段重名", "Two fragments have the same name"),
        parser::Error::MissingOperation => ("文档中没有操作", "The document has no operation"),
        _ => ("文档无法读取", "The document cannot be read"),
    };
    let mut refused = invalid(format!("{zh}{at}。 {en}{here}."));
    refused.locations = error.positions().collect();
    refused
}

fn too_complex(what: &str, most: usize) -> ServerError {
    refusal(TOO_COMPLEX, format!("查询过于复杂。 The document is too complex: at most {most} {what}."))
}

#[derive(Clone, Copy, Default)]
struct Measure {
    selections: usize,
    aliases: usize,
    depth: usize,
    /// Lists of the schema's description within one another.
    described: usize,
}

struct Walk<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// Measured fragments: each is walked once, however often it is spread.
    known: HashMap<&'a str, Measure>,
}

impl<'a> Walk<'a> {
    /// Measures a selection set with its fragments followed. `level` also ends a circle of fragments.
    fn selection_set(&mut self, set: &'a SelectionSet, level: usize) -> Result<Measure, ServerError> {
        limit(level, LEVELS, "nested selections")?;
        let mut sum = Measure::default();
        for item in &set.items {
            sum.selections += 1 + weight(item.node.directives());
            let (inner, aliased, deeper) = match &item.node {
                Selection::Field(field) => {
                    sum.selections += field.node.arguments.len();
                    let mut inner = self.selection_set(&field.node.selection_set.node, level + 1)?;
                    let name = field.node.name.node.as_str();
                    if name.starts_with("__") {
                        limit(inner.described, DESCRIPTIONS, "lists within lists of the schema's description")?;
                    }
                    inner.described += usize::from(DESCRIBED.contains(&name));
                    (inner, usize::from(field.node.alias.is_some()), 1)
                }
                Selection::InlineFragment(inline) => {
                    (self.selection_set(&inline.node.selection_set.node, level + 1)?, 0, 0)
                }
                Selection::FragmentSpread(spread) => (self.fragment(&spread.node.fragment_name.node, level + 1)?, 0, 0),
            };
            sum.selections += inner.selections;
            sum.aliases += inner.aliases + aliased;
            sum.depth = sum.depth.max(inner.depth + deeper);
            sum.described = sum.described.max(inner.described);
            limit(sum.selections, SELECTIONS, "fields")?;
        }
        Ok(sum)
    }

    fn fragment(&mut self, name: &'a str, level: usize) -> Result<Measure, ServerError> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let Some(fragment) = self.fragments.get(name) else { return Ok(Measure::default()) };
        let mut measure = self.selection_set(&fragment.node.selection_set.node, level)?;
        measure.selections += weight(&fragment.node.directives);
        self.known.insert(name, measure);
        Ok(measure)
    }

    /// The names of the root fields, no more than allowed.
    fn judged_roots(&self, operation: &OperationDefinition) -> Result<Vec<String>, ServerError> {
        let mut roots = Vec::new();
        self.roots(&operation.selection_set.node, &mut roots);
        limit(roots.len(), ROOT_FIELDS, "root fields")?;
        for name in ONCE {
            limit(roots.iter().filter(|root| *root == name).count(), 1, name)?;
        }
        Ok(roots)
    }

    fn roots(&self, set: &SelectionSet, roots: &mut Vec<String>) {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => roots.push(field.node.name.node.to_string()),
                Selection::InlineFragment(inline) => self.roots(&inline.node.selection_set.node, roots),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        self.roots(&fragment.node.selection_set.node, roots);
                    }
                }
            }
        }
    }
}

/// How deep brackets stand within brackets, strings and comments aside, and how many tokens there are.
fn extent(text: &str) -> (usize, usize) {
    let (mut rest, mut depth, mut deepest) = (text.as_bytes(), 0_usize, 0_usize);
    let (mut tokens, mut in_word) = (0, false);
    while let [first, tail @ ..] = rest {
        let word = first.is_ascii_alphanumeric() || matches!(first, b'_' | b'-' | b'.');
        let ignored = first.is_ascii_whitespace() || matches!(first, b',' | b'#');
        tokens += usize::from(!(ignored || word && in_word));
        in_word = word;
        rest = match first {
            b'#' => after(tail, |at| matches!(at, [b'\n' | b'\r', ..])).0,
            b'"' => match tail {
                [b'"', b'"', block @ ..] => after_block(block),
                _ => after_string(tail),
            },
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
                tail
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                tail
            }
            _ => tail,
        };
    }
    (deepest, tokens)
}

/// What follows the first place that `ends`, and whether there is one.
fn after(mut rest: &[u8], ends: impl Fn(&[u8]) -> bool) -> (&[u8], bool) {
    while let [_, tail @ ..] = rest {
        if ends(rest) {
            return (tail, true);
        }
        rest = tail;
    }
    (rest, false)
}

fn after_string(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest {
            [b'\\', _, tail @ ..] => rest = tail,
            [b'"' | b'\n' | b'\r', tail @ ..] => return tail,
            [_, tail @ ..] => rest = tail,
            [] => return rest,
        }
    }
}

fn after_block(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest {
            [b'\\', b'"', b'"', b'"', tail @ ..] => rest = tail,
            [b'"', b'"', b'"', tail @ ..] => return tail,
            [_, tail @ ..] => rest = tail,
            [] => return rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(query: &str, name: Option<&str>) -> Result<Outline, String> {
        judge(query).and_then(|judged| judged.outline(name)).map_err(|error| error.message)
    }

    #[test]
    fn ordinary_documents_pass_and_are_outlined() {
        let outline =
            judged("mutation { a: signOut(input: {}) { done } ...F } fragment F on Mutation { signUp }", None).unwrap();
        assert_eq!(outline.kind, OperationType::Mutation);
        assert_eq!(outline.roots, ["signOut", "signUp"]);
        assert_eq!(judged("subscription { auctionEvents }", None).unwrap().kind, OperationType::Subscription);
        assert!(judged("query A { a } query B { b }", None).is_err());
        assert!(judged("query A { a } query B { b }", Some("C")).is_err());
        assert_eq!(judged("query A { a } query B { b }", Some("B")).unwrap().roots, ["b"]);
    }

    #[test]
    fn what_multiplies_is_refused() {
        let aliases: String = (0..16).map(|n| format!("a{n}: x ")).collect();
        let roots: String = (0..11).map(|n| format!("r{n} ")).collect();
        let deep = format!("{}x{}", "{ a ".repeat(12) + "{", "}".repeat(13));
        for hostile in [
            format!("{{ o {{ {aliases} }} }}"),
            format!("{{ ...F }} fragment F on Query {{ o {{ {aliases} }} }}"),
            format!("{{ {roots} }}"),
            "mutation { a: signIn { x } b: signIn { x } }".to_owned(),
            "mutation { a: confirmSecondFactor { x } b: confirmSecondFactor { x } }".to_owned(),
            "mutation { ...F ...F } fragment F on Mutation { placeBid { x } }".to_owned(),
            deep,
            "{ ...F } fragment F on Query { ...F }".to_owned(),
            format!("{{ x(a: [{}]) }}", "1,".repeat(10_000)),
            format!("{{ x(a: 1) {{ y({}) }} }}", "b: 1 ".repeat(2_000)),
            format!("query({}) {{ x }}", "$a: Int ".repeat(2_001)),
            format!("query {} {{ x }}", "@a(b: 1) ".repeat(1_001)),
            format!("query($a: Int {}) {{ x }}", "@a ".repeat(2_001)),
            format!("{{ x {} }}", "@a ".repeat(2_001)),
            format!("{{ ...F }} fragment F on Query {} {{ x }}", "@a ".repeat(2_001)),
        ] {
            let message = judged(&hostile, None).unwrap_err();
            assert!(message.contains("too complex"), "{hostile}: {message}");
        }
    }

    #[test]
    fn fragments_that_double_are_measured_at_once() {
        let fragments: String =
            (0..30).map(|n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }} ", n + 1)).collect();
        let hostile = format!("{{ ...F0 }} {fragments} fragment F30 on Query {{ x }}");
        assert!(judged(&hostile, None).unwrap_err().contains("too complex"));
    }

    #[test]
    fn every_fragment_is_measured() {
        let chain: String = (0..1_000).map(|n| format!("fragment F{n} on Query {{ ...F{} }} ", n + 1)).collect();
        for unused in [&*format!("{chain} fragment F1000 on Query {{ x }}"), "fragment F on Query { ...F }"] {
            assert!(judged(&format!("{{ x }} {unused}"), None).unwrap_err().contains("must be used"));
        }
        assert!(
            judged("query A { ...F } query B { ...G } fragment F on Query { x } fragment G on Query { y }", Some("A"))
                .is_ok()
        );
    }

    #[test]
    fn brackets_beyond_any_stack_are_refused() {
        for open in ["{a", "[", "(", "{a(b:{c:["] {
            assert!(judge(&format!("{{ x(y: {} ) }}", open.repeat(60_000))).is_err());
        }
        assert!(judge(&"{a".repeat(100_000)).is_err());
        // As deep as is let through, the parser ends in good order.
        for (open, close) in [("{a", "}"), ("[", "]"), ("{a:", "}")] {
            let value = format!("{}1{}", open.repeat(95), close.repeat(95));
            drop(judge(&format!("{{ x(y: {value}) }}")));
            drop(judge(&value));
        }
    }

    #[test]
    fn brackets_in_strings_and_comments_count_for_nothing() {
        assert_eq!(extent("{ a(b: \"((((\\\"((((\", c: \"\"\"[[[[\\\"\"\"[[[\"\"\") }").0, 2);
        assert_eq!(extent("{ a # ((((( \" \n (b) }").0, 2);
        assert_eq!(extent("{ a(b: \"\") { c } }").0, 2);
        assert_eq!(extent("\"\"\"}}}\"\"\"{{{").0, 3);
        for (text, tokens) in [
            ("", 0),
            ("{ a(b: \"x y z\", c: $d) }", 12),
            ("{ ...F ... on Q { a1_b:-1.5 } } # no word", 11),
            ("\"\"\"a \"b\" c\"\"\",,,[[", 3),
        ] {
            assert_eq!(extent(text).1, tokens, "{text}");
        }
    }
}
