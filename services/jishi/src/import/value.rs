//! What a row says. A row of CSV is an object of texts by column name, a line of JSONL is its object; both are read
//! alike, by the name of a member or by a JSON pointer. No I/O.

use serde::Deserialize;
use serde_json::Value;

/// Where one of our fields comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// `{ from = "title" }`: a column, a member, or `/a/b` for what lies deeper.
    From(String),
    /// `{ constant = "NASA" }`: the same for every row.
    Constant(String),
    /// `{ template = "NASA {center}" }`: text around columns; nothing if one of them is empty.
    Template(String),
    /// `{ list = { from = "/keywords" } }`, or with `separator = ";"` where one text holds them all.
    List {
        /// As above.
        from: String,
        /// Between the elements of a text.
        separator: Option<String>,
    },
}

/// A name that is no single value but should be; this is what stood there.
pub type Several = String;

impl Source {
    /// The columns that are read.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Source::From(name) | Source::List { from: name, .. } => vec![name],
            Source::Constant(_) => Vec::new(),
            Source::Template(template) => parts(template).into_iter().filter_map(|(_, name)| name).collect(),
        }
    }

    /// Whether every brace of a template has its partner.
    pub fn is_sound(&self) -> bool {
        let Source::Template(template) = self else { return true };
        let names: usize = parts(template).iter().filter(|(_, name)| name.is_some()).count();
        template.matches('{').count() == names && template.matches('}').count() == names
    }

    /// The value as one text, trimmed; nothing if it is empty or absent.
    pub fn text(&self, row: &Value) -> Result<Option<String>, Several> {
        let text = match self {
            Source::From(name) => return single(find(row, name)),
            Source::List { .. } => self.list(row)?.join("; "),
            Source::Constant(text) => text.clone(),
            Source::Template(template) => {
                let mut text = String::new();
                for (before, name) in parts(template) {
                    text.push_str(before);
                    let Some(name) = name else { continue };
                    let Some(value) = single(find(row, name))? else { return Ok(None) };
                    text.push_str(&value);
                }
                text
            }
        };
        Ok(trimmed(&text))
    }

    /// The value as a list; empty elements are left out.
    pub fn list(&self, row: &Value) -> Result<Vec<String>, Several> {
        let Source::List { from, separator } = self else { return Ok(self.text(row)?.into_iter().collect()) };
        match (find(row, from), separator) {
            (Some(Value::Array(items)), _) => {
                let texts: Result<Vec<_>, _> = items.iter().map(|item| single(Some(item))).collect();
                Ok(texts?.into_iter().flatten().collect())
            }
            (Some(Value::String(text)), Some(separator)) => {
                Ok(text.split(separator.as_str()).filter_map(trimmed).collect())
            }
            (other, _) => Ok(single(other)?.into_iter().collect()),
        }
    }
}

/// A member by name, or anything by JSON pointer.
pub fn find<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    if name.starts_with('/') { row.pointer(name) } else { row.get(name) }
}

fn single(value: Option<&Value>) -> Result<Option<String>, Several> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(trimmed(text)),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
        Some(value) => Err(value.to_string()),
    }
}

fn trimmed(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A template as pairs of literal text and the column that follows it.
fn parts(template: &str) -> Vec<(&str, Option<&str>)> {
    let mut pieces = template.split('{');
    let mut before = pieces.next().unwrap_or_default();
    let mut parts = Vec::new();
    for rest in pieces {
        let Some((name, after)) = rest.split_once('}') else { continue };
        parts.push((before, Some(name)));
        before = after;
    }
    parts.push((before, None));
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_without_one_of_its_columns_says_nothing() {
        let source = Source::Template("NASA {center} ({/a/b})".into());
        assert_eq!(source.names(), ["center", "/a/b"]);
        assert_eq!(source.text(&json!({ "center": "JPL", "a": { "b": 7 } })), Ok(Some("NASA JPL (7)".into())));
        assert_eq!(source.text(&json!({ "center": " ", "a": { "b": 7 } })), Ok(None));
    }

    #[test]
    fn lists_come_as_arrays_or_as_separated_text() {
        let list = |separator: Option<&str>| Source::List { from: "k".into(), separator: separator.map(Into::into) };
        assert_eq!(list(None).list(&json!({ "k": ["a", " ", "b", null] })), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(list(Some("；")).list(&json!({ "k": "甲； 乙；" })), Ok(vec!["甲".into(), "乙".into()]));
        assert_eq!(list(None).list(&json!({ "k": "a;b" })), Ok(vec!["a;b".into()]));
        assert_eq!(list(None).list(&json!({})), Ok(vec![]));
        assert!(list(None).list(&json!({ "k": [["a"]] })).is_err());
    }

    #[test]
    fn an_object_is_no_text() {
        let from = Source::From("/a".into());
        assert!(from.text(&json!({ "a": { "b": 1 } })).is_err());
        assert_eq!(from.text(&json!({ "a": true })), Ok(Some("true".into())));
        assert_eq!(from.text(&json!({ "a": null })), Ok(None));
    }
}
