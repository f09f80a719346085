//! How the messages of a lot's evidence read for people. Serde writes them from the same fields as the wire, so that what
//! is read cannot drift from what is signed (docs/evidence.md).

use std::collections::BTreeSet;

use tonic_prost_build::Builder;

use super::proto::{Field, Files, Kind};

const ROOTS: [&str; 3] = ["AuctionEvent", "BiddingTerms", "SealedKey"];

/// Lets serde write the messages, and those within them: names and enums as GraphQL spells them, money as yuan, instants
/// as RFC 3339; nothing for what is absent.
pub fn derive(mut build: Builder, files: &Files) -> Builder {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut waiting = ROOTS.to_vec();
    while let Some(name) = waiting.pop() {
        let Some(message) = files.messages.iter().find(|message| message.name == name) else { continue };
        if !known.insert(&message.name) {
            continue;
        }
        let path = format!(".jishi.v1.{name}");
        build = build.message_attribute(&path, "#[derive(serde::Serialize)] #[serde(rename_all = \"camelCase\")]");
        for field in &message.fields {
            if let Some(attribute) = attribute(field) {
                build = build.field_attribute(format!("{path}.{}", field.name), format!("#[serde({attribute})]"));
            }
            if let Kind::Message(inner) = &field.kind
                && !is_scalar(inner)
            {
                waiting.push(inner);
            }
        }
    }
    build
}

fn is_scalar(message: &str) -> bool {
    matches!(message, "Money" | "Instant")
}

fn attribute(field: &Field) -> Option<String> {
    let skip = |empty: &str| format!("skip_serializing_if = \"{empty}::is_empty\"");
    let absent = "skip_serializing_if = \"Option::is_none\"";
    match &field.kind {
        Kind::Bytes => panic!("{}: bytes have no readable form", field.name),
        Kind::Enum(_) if field.repeated => panic!("{}: teach build/readable.rs lists of enums first", field.name),
        Kind::Message(m) if field.repeated && is_scalar(m) => {
            panic!("{}: teach build/readable.rs lists of {m} first", field.name)
        }
        _ if field.repeated => Some(skip("Vec")),
        Kind::Message(m) if is_scalar(m) => Some(format!("serialize_with = \"crate::readable::text\", {absent}")),
        Kind::Message(_) => Some(absent.to_owned()),
        Kind::Enum(e) if field.optional => {
            Some(format!("serialize_with = \"crate::readable::optional_name::<{}, _>\", {absent}", rust(e)))
        }
        Kind::Enum(e) => Some(format!("serialize_with = \"crate::readable::name::<{}, _>\"", rust(e))),
        _ if field.optional => Some(absent.to_owned()),
        Kind::Text | Kind::Id => Some(skip("String")),
        Kind::Bool | Kind::Int32 | Kind::Int64 => None,
    }
}

fn rust(name: &str) -> String {
    if name == "Role" { "kernel::Role".to_owned() } else { format!("crate::v1::{name}") }
}
