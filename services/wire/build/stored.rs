//! Enums as text columns, payloads as outcomes of mutations, events as announcements.

use std::fmt::Write;

use super::proto::{Files, Kind, snake};

/// Each enum is stored by the name that GraphQL shows, such as `DISCLOSED`.
pub fn enums(files: &Files) -> String {
    let mut out = String::new();
    for item in files.enums.iter().filter(|item| item.name != "Role") {
        let name = &item.name;
        let prefix = snake(name).to_ascii_uppercase() + "_";
        if let Some(stray) = item.values.iter().find(|value| !value.starts_with(&prefix)) {
            panic!("{stray} of {name} must begin with {prefix}");
        }
        writeln!(out, "stored_enum!({name}, {prefix:?});").unwrap();
    }
    out
}

pub fn payloads(files: &Files) -> String {
    let mut out = String::new();
    for message in files.payloads() {
        let name = &message.name;
        let [object, errors] = message.fields.as_slice() else { panic!("{name} must be {{object, user_errors}}") };
        assert!(object.optional && errors.name == "user_errors", "{name} must be {{optional object, user_errors}}");
        let r#type = match &object.kind {
            Kind::Message(target) => target.clone(),
            Kind::Bool => "bool".to_owned(),
            _ => panic!("{name}: the object must be a message or a bool"),
        };
        let f = &object.name;
        writeln!(
            out,
            "impl kernel::Payload for {name} {{ type Object = {type};\n\
             fn of(outcome: std::result::Result<Self::Object, kernel::Refusal>) -> Self {{ match outcome {{\n\
             Ok(object) => Self {{ {f}: Some(object), user_errors: Vec::new() }},\n\
             Err(refusal) => Self {{ {f}: None, user_errors: vec![refusal] }} }} }} }}"
        )
        .unwrap();
    }
    out
}

pub fn announcements(files: &Files) -> String {
    let implement =
        |name: &str| format!("impl kernel::Announcement for {name} {{ const KIND: &'static str = {name:?}; }}\n");
    files.announcements().map(|message| implement(&message.name)).collect()
}
