//! The schema as it describes itself, read for one purpose: to call everything with anything.

use std::collections::HashMap;

use exchange_tests::attacks::ask;
use serde_json::{Value, json};

use super::client;

const QUERY: &str = "{ __schema { types { kind name enumValues { name } inputFields { ...A } \
    fields { name args { ...A } type { ...T } } } } } \
    fragment A on __InputValue { name type { ...T } } \
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// Stands where a hostile value goes, since not all of those are JSON.
pub const HERE: &str = "@HERE@";

/// All types by name.
pub struct Schema(HashMap<String, Value>);

/// A field of `Query` or `Mutation`.
pub struct Call {
    /// `query` or `mutation`.
    pub kind: &'static str,
    pub field: String,
    arguments: Vec<Value>,
    result: Value,
}

/// A scalar or an enum somewhere in what a call takes.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Argument, then fields of input objects.
    pub path: Vec<String>,
    /// The name of its type.
    pub kind: String,
}

/// What a mutation yields besides refusals.
pub struct Yielded {
    /// The payload's field.
    pub field: String,
    /// The type of its object; none if it is a scalar.
    pub object: Option<String>,
}

impl Schema {
    pub async fn read(http: &str) -> Schema {
        let body = json!({ "query": QUERY }).to_string().into_bytes();
        let (_, answer) = ask(&client(), http, body).await.unwrap();
        let types = answer.pointer("/data/__schema/types").and_then(Value::as_array).expect("introspection");
        Schema(types.iter().map(|each| (text(&each["name"]), each.clone())).collect())
    }

    /// Everything that can be asked or done.
    pub fn calls(&self) -> Vec<Call> {
        let of = |kind, root: &str| {
            list(&self.0[root]["fields"]).into_iter().map(move |field| Call {
                kind,
                field: text(&field["name"]),
                arguments: list(&field["args"]),
                result: field["type"].clone(),
            })
        };
        of("query", "Query").chain(of("mutation", "Mutation")).collect()
    }

    /// Every scalar and enum that the call takes.
    pub fn leaves(&self, call: &Call) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        for argument in &call.arguments {
            self.descend(argument, vec![], &mut leaves);
        }
        leaves
    }

    fn descend(&self, input: &Value, mut path: Vec<String>, leaves: &mut Vec<Leaf>) {
        path.push(text(&input["name"]));
        let kind = named(&input["type"]);
        match self.0[&kind]["kind"].as_str() {
            Some("INPUT_OBJECT") if path.len() < 6 => {
                for field in list(&self.0[&kind]["inputFields"]) {
                    self.descend(&field, path.clone(), leaves);
                }
            }
            _ => leaves.push(Leaf { path, kind }),
        }
    }

    /// Variables that might well be accepted, with [`HERE`] at the leaf. What is optional is left out.
    pub fn variables(&self, call: &Call, leaf: &Leaf, known: &dyn Fn(&str, &str) -> Value) -> Value {
        let given = call.arguments.iter().filter_map(|argument| self.value(argument, Some(&leaf.path), known));
        given.collect::<serde_json::Map<_, _>>().into()
    }

    fn value(
        &self,
        input: &Value,
        path: Option<&[String]>,
        known: &dyn Fn(&str, &str) -> Value,
    ) -> Option<(String, Value)> {
        let (name, kind) = (text(&input["name"]), named(&input["type"]));
        let below = path.and_then(|path| path.split_first()).filter(|(first, _)| **first == name).map(|(_, rest)| rest);
        if below.is_none() && input["type"]["kind"] != "NON_NULL" {
            return None;
        }
        let plain = match (below, self.0[&kind]["kind"].as_str()) {
            (Some([]), _) => json!(HERE),
            (_, Some("INPUT_OBJECT")) => {
                let fields = list(&self.0[&kind]["inputFields"]);
                let given = fields.iter().filter_map(|field| self.value(field, below, known));
                given.collect::<serde_json::Map<_, _>>().into()
            }
            (_, Some("ENUM")) => match known(&name, &kind) {
                Value::Null => self.0[&kind]["enumValues"][0]["name"].clone(),
                value => value,
            },
            _ => known(&name, &kind),
        };
        Some((name, if is_list(&input["type"]) { json!([plain]) } else { plain }))
    }

    /// The document that makes the call and asks for everything scalar that it yields.
    pub fn document(&self, call: &Call) -> String {
        let each = |form: fn(&str, &str) -> String| -> String {
            call.arguments.iter().map(|argument| form(&text(&argument["name"]), &printed(&argument["type"]))).collect()
        };
        let (declared, passed) =
            (each(|name, kind| format!("${name}:{kind} ")), each(|name, _| format!("{name}:${name} ")));
        let parenthesized = |inner: String| if inner.is_empty() { inner } else { format!("({inner})") };
        let selection = match (call.kind, self.yields(call)) {
            ("mutation", Some(yielded)) => {
                let object = yielded.object.map_or(String::new(), |object| format!("{{{}}}", self.scalars(&object)));
                format!("{{{}{object} userErrors{{code messageZh messageEn field rule accepted}}}}", yielded.field)
            }
            _ if self.is_composite(&named(&call.result)) => "{__typename}".into(),
            _ => String::new(),
        };
        format!("{} H{}{{{}{}{selection}}}", call.kind, parenthesized(declared), call.field, parenthesized(passed))
    }

    /// What a mutation yields.
    pub fn yields(&self, call: &Call) -> Option<Yielded> {
        let fields = list(&self.0[&named(&call.result)]["fields"]);
        let field = fields.iter().find(|field| field["name"] != "userErrors")?;
        let kind = named(&field["type"]);
        Some(Yielded { field: text(&field["name"]), object: self.is_composite(&kind).then_some(kind) })
    }

    /// Whether a type has a field of that name and type that can be asked for without arguments.
    pub fn has(&self, object: &str, field: &str, kind: &str) -> bool {
        list(&self.0[object]["fields"]).iter().any(|known| known["name"] == field && named(&known["type"]) == kind)
    }

    /// Everything that can be asked of an object without arguments: its scalars, and of what is linked the id.
    pub fn everything(&self, object: &str) -> String {
        let mut names = self.scalars(object);
        for field in list(&self.0[object]["fields"]) {
            let kind = named(&field["type"]);
            if self.is_composite(&kind) {
                let inner = if self.has(&kind, "id", "ID") { "id" } else { "__typename" };
                names.push_str(&format!(" {}{{{inner}}}", text(&field["name"])));
            }
        }
        names
    }

    /// The document that lists what a query without required arguments lists; none if it is no list.
    pub fn listing(&self, call: &Call) -> Option<String> {
        let optional = call.arguments.iter().all(|argument| argument["type"]["kind"] != "NON_NULL");
        let edges = list(&self.0[&named(&call.result)]["fields"]).into_iter().find(|field| field["name"] == "edges")?;
        let node = list(&self.0[&named(&edges["type"])]["fields"]).into_iter().find(|field| field["name"] == "node")?;
        let node = named(&node["type"]);
        optional.then(|| format!("{{{}(first: 10){{edges{{node{{{}}}}}}}}}", call.field, self.everything(&node)))
    }

    fn scalars(&self, object: &str) -> String {
        let mut names = "__typename".to_owned();
        for field in list(&self.0[object]["fields"]) {
            if !self.is_composite(&named(&field["type"])) && list(&field["args"]).is_empty() {
                names.push(' ');
                names.push_str(&text(&field["name"]));
            }
        }
        names
    }

    fn is_composite(&self, kind: &str) -> bool {
        matches!(self.0[kind]["kind"].as_str(), Some("OBJECT" | "INTERFACE" | "UNION"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The type within lists and non-nulls.
fn named(kind: &Value) -> String {
    if kind["ofType"].is_null() { text(&kind["name"]) } else { named(&kind["ofType"]) }
}

fn is_list(kind: &Value) -> bool {
    kind["kind"] == "LIST" || (!kind["ofType"].is_null() && is_list(&kind["ofType"]))
}

/// As the language writes it.
fn printed(kind: &Value) -> String {
    match kind["kind"].as_str() {
        Some("NON_NULL") => format!("{}!", printed(&kind["ofType"])),
        Some("LIST") => format!("[{}]", printed(&kind["ofType"])),
        _ => text(&kind["name"]),
    }
}
