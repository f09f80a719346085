//! The permission matrix: every field of the schema, every role, own and foreign objects. It is made of the entries of
//! `policy.toml`; a field without one is named and stops whoever asks for the matrix.

use std::{collections::BTreeMap, fmt::Write};

use async_graphql::parser::{
    parse_schema,
    types::{FieldDefinition, TypeKind, TypeSystemDefinition},
};
use kernel::Role;
use strum::IntoEnumIterator;
use wire::policy::{ENTRIES, Entry, Permission};

use crate::{Mode, schema};

/// Objects that only wrap others; their fields are seen by whoever may see what is in them.
const WRAPPERS: [&str; 4] = ["Connection", "Edge", "Payload", "PageInfo"];
/// Told to whoever asked.
const ANSWERS: [&str; 1] = ["UserError"];

const INTRODUCTION: &str = "# Who may do what

Made from `services/wire/policy.toml` by `jishi permissions`; do not edit. A test plays every role against every line.

Each cell has two marks: the first for an object of one's own organization (for staff: one in the charge of one's
centre or of a centre below it), the second for a foreign object. `+` may, `-` may not: a foreign object is answered
exactly as a missing one. `p`: once the object is public, as the line says. `s`: what is one's own person's only.
Staff roles and SIGNATORY count only in a session with a second factor. Payloads, connections, edges and user errors
are seen by whoever may see what they hold.
";

/// The matrix as Markdown, or what lacks an entry.
pub fn permissions() -> Result<String, String> {
    let fields = fields_of_schema()?;
    let mut out = INTRODUCTION.to_owned();
    for (place, fields) in &fields {
        let object = entry(place, "");
        writeln!(out, "\n## {place}\n").map_err(told)?;
        if let Some(object) = object {
            writeln!(out, "Seen by {}.\n", object.words).map_err(told)?;
        }
        let roles: Vec<&'static str> = Role::iter().map(Into::into).collect();
        writeln!(out, "| field | anonymous | signed in | {} | |", roles.join(" | ")).map_err(told)?;
        writeln!(out, "|{}", "---|".repeat(roles.len() + 4)).map_err(told)?;
        for (field, description) in fields {
            let entry = entry(place, field).ok_or_else(|| format!("policy.toml says nothing about {place}.{field}"))?;
            let told_there = format!("Permission: {}.", entry.words);
            if object.is_none() && !description.ends_with(&told_there) {
                return Err(format!("the description of {place}.{field} must end with \"{told_there}\""));
            }
            let words = if object.is_some_and(|object| object.words == entry.words) { "" } else { entry.words };
            let cells: Vec<String> = Role::iter().map(|role| cell(entry, role)).collect();
            let (nobody, anybody) = (anonymous(entry), signed_in(entry));
            writeln!(out, "| {field} | {nobody} | {anybody} | {} | {words} |", cells.join(" | ")).map_err(told)?;
        }
    }
    let stray = ENTRIES.iter().find(|entry| {
        let known = fields.get(entry.place).is_some_and(|known| known.contains_key(entry.field));
        !entry.field.is_empty() && !known
    });
    match stray {
        Some(entry) => Err(format!("policy.toml speaks of {}.{}, which the schema lacks", entry.place, entry.field)),
        None => Ok(out),
    }
}

fn told(error: std::fmt::Error) -> String {
    error.to_string()
}

fn entry(place: &str, field: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.place == place && entry.field == field)
}

/// Every object and its fields with their descriptions, wrappers aside.
fn fields_of_schema() -> Result<BTreeMap<String, BTreeMap<String, String>>, String> {
    let document = parse_schema(schema(Mode::Development).sdl()).map_err(|error| error.to_string())?;
    let mut objects = BTreeMap::new();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = definition.node.name.node.to_string();
        let wraps = WRAPPERS.iter().any(|end| name.ends_with(end)) || ANSWERS.contains(&name.as_str());
        if let (TypeKind::Object(object), false) = (definition.node.kind, wraps) {
            let described = |field: FieldDefinition| {
                let description = field.description.map(|text| text.node).unwrap_or_default();
                (field.name.node.to_string(), description)
            };
            objects.insert(name, object.fields.into_iter().map(|field| described(field.node)).collect());
        }
    }
    Ok(objects)
}

fn anonymous(entry: &Entry) -> &'static str {
    match entry.who {
        Permission::Anyone => "+",
        Permission::Roles { .. } if !entry.public.is_empty() => "p",
        _ => "-",
    }
}

fn signed_in(entry: &Entry) -> &'static str {
    match entry.who {
        Permission::SignedIn => "+",
        Permission::Oneself => "s",
        _ => anonymous(entry),
    }
}

fn cell(entry: &Entry, role: Role) -> String {
    let others = signed_in(entry);
    let own = match entry.who {
        Permission::Roles { own, staff } if own.contains(&role) || staff.contains(&role) => "+",
        _ => others,
    };
    format!("{own} {others}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_an_entry_and_says_so() {
        let matrix = permissions().unwrap();
        let fields: usize = fields_of_schema().unwrap().values().map(BTreeMap::len).sum();
        let told =
            matrix.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| field | anonymous")).count();
        assert_eq!(told, fields);
    }
}
