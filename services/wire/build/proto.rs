//! The descriptors, read into just what the generators need.

use std::collections::HashMap;

use prost_types::{
    FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

pub struct Files {
    pub messages: Vec<Message>,
    pub enums: Vec<Enum>,
    pub services: Vec<Service>,
}

pub struct Message {
    pub name: String,
    pub comment: String,
    pub fields: Vec<Field>,
    file: String,
}

pub struct Field {
    pub name: String,
    pub comment: String,
    pub kind: Kind,
    pub repeated: bool,
    pub optional: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// A string named `id` or `…_id`.
    Id,
    Bool,
    Int32,
    Int64,
    Bytes,
    Enum(String),
    Message(String),
}

pub struct Enum {
    pub name: String,
    pub values: Vec<String>,
}

pub struct Service {
    pub name: String,
    /// (rpc, comment, request, reply)
    pub rpcs: Vec<(String, String, String, String)>,
}

/// Written by hand in kernel.
const MAPPED: [&str; 3] = ["Money", "Instant", "UserError"];

impl Files {
    pub fn read(set: &FileDescriptorSet) -> Files {
        let (mut messages, mut enums, mut services) = (Vec::new(), Vec::new(), Vec::new());
        for file in set.file.iter().filter(|file| file.package() == "jishi.v1") {
            let comments: HashMap<Vec<i32>, String> = file
                .source_code_info
                .iter()
                .flat_map(|info| &info.location)
                .map(|place| (place.path.clone(), place.leading_comments().trim().to_owned()))
                .collect();
            let comment = |path: &[i32]| comments.get(path).cloned().unwrap_or_default();
            for (m, message) in (0..).zip(&file.message_type) {
                let fields = (0..).zip(&message.field).map(|(f, field)| Field {
                    name: field.name().to_owned(),
                    comment: comment(&[4, m, 2, f]),
                    kind: kind(field.name(), field.r#type(), field.type_name()),
                    repeated: field.label() == Label::Repeated,
                    optional: field.proto3_optional(),
                });
                messages.push(Message {
                    name: message.name().to_owned(),
                    comment: comment(&[4, m]),
                    fields: fields.collect(),
                    file: file.name().to_owned(),
                });
            }
            for item in &file.enum_type {
                let values = item.value.iter().map(|value| value.name().to_owned()).collect();
                enums.push(Enum { name: item.name().to_owned(), values });
            }
            for (s, service) in (0..).zip(&file.service) {
                let rpcs = (0..).zip(&service.method).map(|(r, rpc)| {
                    (rpc.name().to_owned(), comment(&[6, s, 2, r]), last(rpc.input_type()), last(rpc.output_type()))
                });
                services.push(Service { name: service.name().to_owned(), rpcs: rpcs.collect() });
            }
        }
        Files { messages, enums, services }
    }

    /// What GraphQL clients see: not the requests, replies, lists and events between services.
    pub fn objects(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| {
            let name = message.name.as_str();
            let list = message.fields.first().is_some_and(|field| field.name == "items");
            let internal = ["Request", "Reply", "Input", "PageEnd", "Page", "Ids", "Nothing"];
            !(MAPPED.contains(&name)
                || list
                || name.starts_with("Import")
                || message.file.ends_with("events.proto")
                || internal.iter().any(|end| name.ends_with(end)))
        })
    }

    pub fn inputs(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.name.ends_with("Input"))
    }

    /// Whether an input says which session it is for.
    pub fn names_a_session(&self, input: &str) -> bool {
        let named = |field: &Field| field.name == "session_id" && field.kind == Kind::Id && !field.optional;
        self.inputs().any(|message| message.name == input && message.fields.iter().any(named))
    }

    /// The names of the rpcs that clients see as mutations.
    pub fn mutations(&self) -> impl Iterator<Item = &String> {
        let rpcs = self.services.iter().flat_map(|service| &service.rpcs);
        rpcs.filter(|(_, _, request, reply)| is_mutation(request, reply)).map(|(rpc, ..)| rpc)
    }

    pub fn payloads(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.name.ends_with("Payload"))
    }

    pub fn announcements(&self) -> impl Iterator<Item = &Message> {
        let internal = ["Request", "Reply", "Reading"];
        self.messages
            .iter()
            .filter(move |m| m.file.ends_with("events.proto") && !internal.iter().any(|end| m.name.ends_with(end)))
    }
}

pub fn is_mutation(request: &str, reply: &str) -> bool {
    request.ends_with("Input") && reply.ends_with("Payload")
}

fn kind(name: &str, r#type: Type, type_name: &str) -> Kind {
    match r#type {
        Type::String if name == "id" || name.ends_with("_id") => Kind::Id,
        Type::String => Kind::Text,
        Type::Bool => Kind::Bool,
        Type::Int32 => Kind::Int32,
        Type::Int64 => Kind::Int64,
        Type::Bytes => Kind::Bytes,
        Type::Enum => Kind::Enum(last(type_name)),
        Type::Message => Kind::Message(last(type_name)),
        other => panic!("proto/ uses {other:?} in {name}; teach build/proto.rs first"),
    }
}

fn last(path: &str) -> String {
    path.rsplit('.').next().unwrap_or_default().to_owned()
}

/// `place_bid` → `placeBid`.
pub fn camel(snake: &str) -> String {
    let mut up = false;
    let fold = |c| match c {
        '_' => {
            up = true;
            None
        }
        c if std::mem::take(&mut up) => Some(char::to_ascii_uppercase(&c)),
        c => Some(c),
    };
    snake.chars().filter_map(fold).collect()
}

/// `PlaceBid` → `place_bid`.
pub fn snake(pascal: &str) -> String {
    let mut out = String::new();
    for c in pascal.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A comment as a doc attribute, or nothing.
pub fn doc(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!("#[doc = {comment:?}]\n") }
}
